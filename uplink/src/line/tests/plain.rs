//! Plain `http` leaves this machine only where that was allowed by name.

use super::*;

fn refusal(to: &str) -> Option<String> {
    let refused = Line::direct(to, Some(Secret::new(KEY)), Timeouts::default()).err();
    refused.map(|error| {
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        error.to_string()
    })
}

#[test]
fn plain_http_to_another_machine_is_refused_unless_it_is_allowed_by_name() {
    for here in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://hub.example"]
    {
        assert_eq!(refusal(here), None, "{here}");
    }
    let others =
        ["http://hub.example", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.evil"];
    for there in others {
        let why = refusal(there).unwrap();
        assert!(why.contains("https") && why.contains("--allow-plain-http"), "{there}: {why}");
        assert!(Line::new(there, None, Timeouts::default()).is_err(), "{there}");
        assert!(Line::allowing_plain_http(there, None, Timeouts::default()).is_ok(), "{there}");
    }
}

#[test]
fn plain_http_to_this_machine_takes_no_way_over_another() {
    let line = || Line::direct("http://127.0.0.1:1", None, Timeouts::default()).unwrap();
    assert!(line().through("--proxy", "http://127.0.0.1:2").is_ok());
    let refused = line().through("--proxy", "http://user:pass@proxy.example").unwrap_err();
    let why = refused.to_string();
    assert!(why.starts_with("--proxy: plain http through a proxy on another machine"), "{why}");
    assert!(!why.contains("pass"), "{why}");
    let allowed = Line::allowing_plain_http("http://127.0.0.1:1", None, Timeouts::default());
    assert!(allowed.unwrap().through("--proxy", "http://proxy.example").is_ok());
}
