//! How a hub is: whether it lives, whether its stores take writes, and what an operator's machines should watch.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    blocking,
    problem::{Code, Problem},
    tenant::{Tenant, Tenants},
};

/// How a tenant's store is.
#[derive(Serialize)]
struct StoreHealth<'a> {
    /// The tenant.
    tenant: &'a str,
    /// Damaged ranges that opening found: what was there may be lost.
    damage: Vec<DamageShape<'a>>,
    /// Why the index was made anew at opening, if it was.
    index_rebuilt: Option<&'a str>,
    /// Why the catalog was made anew at opening, if it was.
    catalog_rebuilt: Option<&'a str>,
}

/// A damaged range.
#[derive(Serialize)]
struct DamageShape<'a> {
    /// File within the store's directory.
    file: &'a str,
    /// First bad byte.
    offset: u64,
    /// Count of bytes.
    length: u64,
    /// What is wrong with the range.
    what: &'a str,
}

impl<'a> From<&'a Tenant> for StoreHealth<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        let found = tenant.recovery();
        let damage = found.damage.iter().map(|damage| DamageShape {
            file: &damage.file,
            offset: damage.offset,
            length: damage.length,
            what: &damage.what,
        });
        Self {
            tenant: tenant.name(),
            damage: damage.collect(),
            index_rebuilt: found.index_rebuilt.as_deref(),
            catalog_rebuilt: found.catalog_rebuilt.as_deref(),
        }
    }
}

/// The process lives.
pub(crate) async fn healthz() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// Every store takes writes. Damage that was found at opening is reported and does not stop a hub: what it cost is
/// lost, and the rest is served.
pub(crate) async fn readyz(State(tenants): State<Tenants>) -> Response {
    let not_ready =
        |code, detail| Problem::new(code, detail).retry_after(blocking::RETRY_S).into_response();
    if tenants.iter().any(|tenant| tenant.is_poisoned()) {
        return not_ready(Code::Database, "a store must be opened again: restart the hub");
    }
    if tenants.iter().any(|tenant| tenant.is_full()) {
        return not_ready(
            Code::Full,
            "storage full: a store takes nothing new until there is room",
        );
    }
    let stores: Vec<StoreHealth<'_>> = tenants.iter().map(StoreHealth::from).collect();
    Json(json!({ "status": "ready", "stores": stores })).into_response()
}

/// Numbers in the text format of Prometheus.
pub(crate) async fn metrics(State(tenants): State<Tenants>) -> Response {
    let mut text = String::new();
    for (name, help, value) in GAUGES {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for tenant in tenants.iter() {
            // A tenant's name has no character that would need an escape.
            let (label, value) = (tenant.name(), value(tenant));
            text.push_str(&format!("{name}{{tenant=\"{label}\"}} {value}\n"));
        }
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// A number of a tenant.
type Gauge = fn(&Tenant) -> u64;

/// The gauges of each tenant. The names are part of the interface: never change or reuse one.
const GAUGES: [(&str, &str, Gauge); 4] = [
    ("onceward_hub_damaged_ranges", "Damaged ranges found when the store was opened.", |tenant| {
        u64::try_from(tenant.recovery().damage.len()).unwrap_or(u64::MAX)
    }),
    ("onceward_hub_torn_bytes", "Bytes of a torn tail cut when the store was opened.", |tenant| {
        tenant.recovery().torn_bytes
    }),
    ("onceward_hub_disk_full", "1 while the store takes nothing new for want of room.", |tenant| {
        u64::from(tenant.is_full())
    }),
    ("onceward_hub_store_poisoned", "1 if the store must be opened again.", |tenant| {
        u64::from(tenant.is_poisoned())
    }),
];

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use axum::extract::State;

    use super::{metrics, readyz};
    use crate::{
        hub::Hub,
        notice::Notice,
        options::Options,
        tenant::{Refused, Tenant, Tenants},
    };

    /// A hub whose store said that it is full, and the notices that the operator got.
    fn full_hub(dir: &std::path::Path) -> (Tenants, Arc<Mutex<Vec<Notice>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&told);
        let options = Options::new(dir.join("data"), "k").with_segment_bytes(256 * 1024);
        let hub = Hub::open_with_notices(options, move |notice| {
            theirs.lock().unwrap().push(notice.clone());
        });
        let tenants = hub.unwrap().tenants().clone();
        let full = || Refused::Store(io::Error::from(io::ErrorKind::StorageFull).into());
        first(&tenants).report(&full());
        first(&tenants).report(&full());
        (tenants, told)
    }

    /// The only tenant.
    fn first(tenants: &Tenants) -> &Tenant {
        tenants.iter().next().unwrap()
    }

    #[tokio::test]
    async fn a_hub_whose_disk_is_full_is_not_ready_until_there_is_room_and_says_both_once() {
        let dir = tempfile::tempdir().unwrap();
        let (tenants, told) = full_hub(dir.path());
        let full = readyz(State(tenants.clone())).await;
        assert_eq!(full.status(), 503);
        let tenant = || "default".to_owned();
        assert_eq!(*told.lock().unwrap(), [Notice::Full { tenant: tenant() }]);
        // The disk of this test has room, so the next look finds some.
        first(&tenants).tick();
        assert_eq!(readyz(State(tenants.clone())).await.status(), 200);
        let notices = [Notice::Full { tenant: tenant() }, Notice::HasRoom { tenant: tenant() }];
        assert_eq!(*told.lock().unwrap(), notices);
    }

    #[tokio::test]
    async fn a_metric_tells_that_the_disk_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let (tenants, _) = full_hub(dir.path());
        let text = async || {
            let body = metrics(State(tenants.clone())).await.into_body();
            let bytes = axum::body::to_bytes(body, 65_536).await.unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let line = |value| format!("\nonceward_hub_disk_full{{tenant=\"default\"}} {value}\n");
        assert!(text().await.contains(&line(1)));
        first(&tenants).has_room();
        assert!(text().await.contains(&line(0)));
    }
}
