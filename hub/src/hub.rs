//! The hub: its tenants, keys and cards, open.

use std::{fmt, sync::Arc};

use axum::Router;
use onceward::config::Create;

use crate::{
    auth::{self, Credentials, Gate},
    cards::{CardsFile, CardsReport},
    error::Error,
    notice::{Notice, Notices},
    options::Options,
    routes,
    shared::Shared,
    tenant::{self, Tenant},
};

#[cfg(test)]
use crate::tenant::Tenants;

/// How many requests with a body are worked on at once; with 4 MiB each, at most 256 MiB are held.
const IN_FLIGHT_MAX: usize = 64;

/// An open hub. Cheap to clone; all clones are the same hub.
#[derive(Clone)]
pub struct Hub(Shared);

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// Opens the data directory, or makes it, and reads the cards. Blocking.
    ///
    /// # Errors
    ///
    /// `Invalid` for a bad key, segment size or cards file, naming line and field. `Locked` while
    /// another hub has the directory open. Otherwise what the store said; see [`Error::kind`].
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::open_with_notices(options, |_| {})
    }

    /// Opens as [`Hub::open`] does, and passes to `observe` what the operator should hear of.
    ///
    /// `observe` runs on the thread where the thing happened, and should return soon.
    ///
    /// # Errors
    ///
    /// As [`Hub::open`].
    pub fn open_with_notices(
        options: Options,
        observe: impl Fn(&Notice) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let Options { data, api_key, cards, segment_bytes, must_exist } = options;
        let notices = Notices::to(observe);
        auth::check_key(&api_key)?;
        let cards = CardsFile::open(cards, notices.clone())?;
        let create = if must_exist { Create::Never } else { Create::IfMissing };
        let tenant =
            Tenant::open(&data, tenant::DEFAULT, (segment_bytes, create), notices.clone())?;
        let tenant = Arc::new(tenant);
        let gate = Gate::new(Credentials::new(&api_key, Arc::clone(&tenant)), IN_FLIGHT_MAX);
        Ok(Self(Shared::of(gate, tenant, cards, notices)))
    }

    /// The HTTP interface. It brings no limit on connections; [`serve`](crate::serve) does.
    pub fn router(&self) -> Router {
        routes::router(self.0.clone())
    }

    /// All tenants.
    #[cfg(test)]
    pub(crate) const fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// How the cards file has fared.
    #[must_use]
    pub fn cards_report(&self) -> CardsReport {
        self.0.cards.report()
    }

    /// Lets every store expire, clean and trim. Blocking; [`serve`](crate::serve) does it by itself.
    pub fn tick(&self) {
        for tenant in self.0.tenants.iter() {
            tenant.tick();
        }
    }

    /// Closes every store in order. Blocking. A hub that is dropped instead has lost nothing that it
    /// confirmed.
    ///
    /// # Errors
    ///
    /// The first failure; the other stores are closed all the same.
    pub fn close(self) -> Result<(), Error> {
        let closed: Vec<_> = self.0.tenants.iter().map(|tenant| tenant.close()).collect();
        closed.into_iter().collect()
    }
}
