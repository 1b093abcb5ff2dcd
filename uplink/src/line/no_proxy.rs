//! Which hosts are reached without a proxy.

use std::net::IpAddr;

/// Whether the list of `NO_PROXY` has a host: `host` as in an address, brackets included.
///
/// Entries are separated by commas or blanks. `*` is every host; a name is that host and every one below it, with or
/// without a dot or `*.` before it; an address is that address; `10.0.0.0/8` is a range of addresses. With a port
/// behind it an entry counts for that port only. Names are compared without regard to case.
///
/// # Errors
///
/// A range that is none, in words.
pub(super) fn spares(list: &str, host: &str, port: u16) -> Result<bool, String> {
    let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    let mut found = false;
    for entry in list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()) {
        found |= match entry.split_once('/') {
            Some((network, length)) => is_within(entry, network, length, address)?,
            None => has(entry, &host, address, port),
        };
    }
    Ok(found)
}

/// An address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether an entry without a range has the host.
fn has(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    // An address of version 6 has colons of its own, and brackets before a port.
    let (name, only_port) = match entry.rsplit_once(':') {
        Some((name, only)) if entry.parse::<IpAddr>().is_err() && only.parse::<u16>().is_ok() => {
            (name, only.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    if only_port.is_some_and(|only| only != port) {
        return false;
    }
    let name = bare(name);
    if let Ok(entry) = name.parse::<IpAddr>() {
        return address == Some(entry);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.trim_matches('.').to_ascii_lowercase();
    let is_below = || host.strip_suffix(&name).is_some_and(|above| above.ends_with('.'));
    !name.is_empty() && (host == name || (address.is_none() && is_below()))
}

/// Whether a range of addresses has the host.
fn is_within(
    entry: &str,
    network: &str,
    length: &str,
    address: Option<IpAddr>,
) -> Result<bool, String> {
    let wrong = || format!("{entry:?} is no range of addresses");
    let network = bare(network).parse::<IpAddr>().map_err(|_not_one| wrong())?;
    let length = length.parse::<u32>().map_err(|_not_a_number| wrong())?;
    let bits = if network.is_ipv4() { 32 } else { 128 };
    if length > bits {
        return Err(wrong());
    }
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    Ok(address.is_some_and(|address| {
        let differing = number(network) ^ number(address);
        network.is_ipv4() == address.is_ipv4()
            && differing.checked_shr(bits - length).unwrap_or(0) == 0
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_host_and_all_below_it() {
        let table = [
            ("hub.example", "hub.example", true),
            ("HUB.example", "hub.EXAMPLE.", true),
            ("example", "hub.example", true),
            (".example", "hub.example", true),
            ("*.example", "hub.example", true),
            ("other, hub.example", "hub.example", true),
            ("other\thub.example", "hub.example", true),
            ("*", "hub.example", true),
            ("hub.example:443", "hub.example", true),
            ("hub.example:80", "hub.example", false),
            ("ample", "hub.example", false),
            ("hub.example.org", "hub.example", false),
            ("www.hub.example", "hub.example", false),
            ("", "hub.example", false),
            (" , .", "hub.example", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.4", "10.1.2.3", false),
            ("2.3", "10.1.2.3", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.1.2.0/30", "10.1.2.3", true),
            ("10.1.2.0/31", "10.1.2.3", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "hub.example", false),
            ("0.0.0.0/0", "[::1]", false),
            ("fd00::/8", "[fd12::1]", true),
            ("fd00::/8", "[fe12::1]", false),
            ("::/0", "[fe12::1]", true),
            ("fd12::1", "[fd12::1]", true),
            ("[fd12::1]:443", "[fd12::1]", true),
            ("[fd12::1]:80", "[fd12::1]", false),
        ];
        for (list, host, expected) in table {
            assert_eq!(spares(list, host, 443), Ok(expected), "{list:?} {host}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for bad in ["10.0.0.0/33", "10.0.0.0/x", "hub/8", "::/129", "10.0.0/8", "/"] {
            assert!(spares(bad, "hub.example", 443).is_err(), "{bad}");
        }
    }
}
