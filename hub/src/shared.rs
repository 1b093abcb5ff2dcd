//! The state that all requests share, in parts: each handler takes the parts that it needs.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::{
    auth::Gate,
    cards::CardsFile,
    notice::Notices,
    tenant::{Tenant, Tenants},
};

/// The parts of an open hub. Cheap to clone; all clones are of the same hub.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Lets requests in.
    pub(crate) gate: Arc<Gate>,
    /// All tenants.
    pub(crate) tenants: Tenants,
    /// The cards that exist.
    pub(crate) cards: Arc<CardsFile>,
    /// The way of notices to the operator.
    pub(crate) notices: Notices,
}

impl Shared {
    /// The state of a hub with one tenant.
    pub(crate) fn of(gate: Gate, tenant: Arc<Tenant>, cards: CardsFile, notices: Notices) -> Self {
        let tenants = Tenants::new([tenant]);
        Self { gate: Arc::new(gate), tenants, cards: Arc::new(cards), notices }
    }
}

impl FromRef<Shared> for Tenants {
    fn from_ref(shared: &Shared) -> Self {
        shared.tenants.clone()
    }
}

impl FromRef<Shared> for Arc<CardsFile> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.cards)
    }
}

impl FromRef<Shared> for Notices {
    fn from_ref(shared: &Shared) -> Self {
        shared.notices.clone()
    }
}
