//! A run over connections that do not last.

use super::*;

/// A hub whose kept connections die: it reads the second request of each and closes. The thread ends with the test.
fn dying() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut applied = BTreeMap::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(items) = read_items(&mut stream) else { continue };
            let answer = apply(&items, &mut applied).replace("Connection: close\r\n", "");
            drop(stream.write_all(answer.as_bytes()));
            read_items(&mut stream);
        }
    });
    address
}

#[test]
fn one_run_sends_everything_though_each_kept_connection_dies_at_its_second_request() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 500);
    let line = Line::new(&format!("http://{}", dying()), None, Timeouts::default()).unwrap();
    let uploader = Uploader::new(store.clone(), line, Box::new(Forloy::new()), options());
    let report = uploader.unwrap().run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, report.batches, report.failures), (500, 10, 0), "{report:?}");
    assert_eq!(store.status().pending, 0);
}
