//! Upstreams that cannot be reached, and lines that come back.

use super::*;

/// T45: whatever keeps a request from its upstream says nothing about an event, however often it happens.
#[test]
fn nobody_a_name_without_an_address_and_silence_are_the_lines_fault_however_often() {
    let key = || Some(Secret::new("some-key"));
    let brief = Timeouts { total: Duration::from_millis(100), ..Timeouts::default() };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Hub::start(&[Act::Hang; 16]);
    let lines = [
        ("nobody", Line::direct(&format!("http://{nobody}"), key(), Timeouts::default())),
        ("no address", Line::direct("https://upstream.invalid", key(), Timeouts::default())),
        ("silence", Line::direct(&format!("http://{}", silent.address), key(), brief)),
    ];
    for (what, line) in lines {
        let line = line.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 2);
        for _ in 0..5 {
            let uploader =
                Uploader::new(store.clone(), line.clone(), Box::new(Forloy::new()), options());
            let report = uploader.unwrap().run_once(&mut |_| ()).unwrap();
            assert!(report.unreachable && report.last_failure.is_some(), "{what}: {report:?}");
            assert!(!report.blocked && report.misconfigured.is_none(), "{what}: {report:?}");
            assert_eq!((report.accepted, report.rejected, report.suspects), (0, 0, 0), "{what}");
        }
        let left = store.status();
        assert_eq!((left.pending + left.in_flight, left.in_review), (2, 0), "{what}");
        let well = Hub::start(&[]);
        assert_eq!(well.uploader(&store).run_once(&mut |_| ()).unwrap().accepted, 2, "{what}");
    }
}

/// T41: captures, a line that comes back again and again, and calls from all sides, while requests are on their way.
#[test]
fn captures_and_calls_from_all_sides_skip_nothing_and_send_each_event_under_its_own_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 20);
    let hub = Hub::start(&[Act::LoseReply, Act::Refuse(503), Act::LoseReply]);
    let uploader = hub.uploader(&store).spawn().unwrap();
    thread::scope(|scope| {
        for part in 0..4 {
            let (store, uploader) = (&store, &uploader);
            scope.spawn(move || {
                for number in 0..25 {
                    capture(store, &format!("late{part}-{number}"), purchase());
                    uploader.wake();
                    uploader.online();
                }
            });
        }
    });
    until(&uploader, |report| report.accepted + report.duplicate == 120);
    let report = uploader.stop().unwrap();
    assert_eq!((report.strangers, report.rejected), (0, 0));
    assert!(report.duplicate > 0, "control: a reply was lost");
    assert_eq!((hub.applied().len(), store.status().settled), (120, 120));
}
