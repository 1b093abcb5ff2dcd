//! What carries requests: the way to the upstream, layer by layer.

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};

use super::address::Address;
use super::opened::Opened;
use super::proxy::Via;
use super::tls::Tls;
use super::{Timeouts, forward};

/// What this program calls itself.
const USER_AGENT: &str = concat!("onceward/", env!("CARGO_PKG_VERSION"));

/// What carries requests to `address`, by this proxy and held to this.
pub(super) fn agent(
    address: &Address,
    timeouts: Timeouts,
    (via, tls): (Option<&Via>, &Tls),
    opened: &Opened,
) -> Agent {
    let config = config(address, timeouts, via.filter(|_| address.is_https()));
    match via {
        Some(via) if !address.is_https() => forward::agent(config, address, via, opened),
        Some(_) | None => {
            let connector = opened
                .clone()
                .chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(tls.clone());
            Agent::with_parts(config, connector, DefaultResolver::default())
        }
    }
}

/// How requests to `address` are made, through a tunnel of this proxy.
pub(super) fn config(address: &Address, timeouts: Timeouts, tunnel: Option<&Via>) -> Config {
    Agent::config_builder()
        .https_only(address.is_https())
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(timeouts.total))
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .user_agent(USER_AGENT)
        .accept("application/json")
        .proxy(tunnel.map(|via| via.proxy.clone()))
        .build()
}
