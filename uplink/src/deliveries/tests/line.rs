//! A puller and the acks' uploader over lines of their own, to a hub on a real socket.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use onceward::sync::Options;
use onceward::testing::Machine;
use onceward::{Config, Store};

use super::hub::HubModel;
use crate::deliveries::{PullOptions, Puller};
use crate::dialect::{Deliveries, KeyPlace, Method, Request};
use crate::line::{Line, Timeouts};
use crate::secret::Secret;
use crate::uploader::Uploader;

type Hub = Arc<(Mutex<HubModel>, Condvar)>;

/// One request, with the key where it came.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut words = first.split(' ');
    let method = if words.next()? == "GET" { Method::Get } else { Method::Post };
    let path = words.next()?.to_owned();
    let (mut key, mut length) = (KeyPlace::Nowhere, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("authorization", "Bearer key-of-this-till") => key = KeyPlace::Bearer,
            ("x-admin-token", "key-of-this-till") => {
                key = KeyPlace::Header("X-Admin-Token".to_owned());
            }
            ("content-length", value) => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request::new(method, path, body).with_key(key))
}

fn serve(stream: &TcpStream, hub: &Hub) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        assert_ne!(request.key, KeyPlace::Nowhere, "{request:?}");
        let mut model = hub.0.lock().unwrap();
        let response = model.answer(&request);
        hub.1.notify_all();
        drop(model);
        let (status, body) = (response.status, response.body);
        let head = format!("HTTP/1.1 {status} S\r\nContent-Type: application/json\r\n");
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        let whole = [head.as_bytes(), length.as_bytes(), &body].concat();
        if (&mut &*stream).write_all(&whole).is_err() {
            return;
        }
    }
}

fn work(store: &Store) {
    for open in store.inbox().list(None, 10).unwrap() {
        while let (Some(_), Some(step)) =
            (open.delivery.steps(), store.inbox().resume(open.lsn).unwrap())
        {
            store.inbox().progress(open.lsn, step).unwrap();
        }
        store.inbox().ack(open.lsn).unwrap();
    }
}

#[test]
fn deliveries_of_both_kinds_come_and_their_acks_go_over_real_lines() {
    let hub: Hub = Arc::new((Mutex::new(HubModel::new()), Condvar::new()));
    hub.0.lock().unwrap().queue("survey", Some(3));
    hub.0.lock().unwrap().queue_event();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let theirs = Arc::clone(&hub);
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let hub = Arc::clone(&theirs);
            thread::spawn(move || serve(&stream.unwrap(), &hub));
        }
    });
    let line = || {
        let key = Some(Secret::new("key-of-this-till"));
        Line::direct(&address, key, Timeouts::default()).unwrap()
    };
    let store = Machine::new().open(Config::new()).unwrap();
    let options = Options::new(store.inbox().scope().unwrap());
    let dialect = Box::new(Deliveries::new("phone-1"));
    let acks = Uploader::new(store.clone(), line(), dialect, options).unwrap().spawn().unwrap();
    let (sender, came) = mpsc::channel();
    let puller = Puller::new(store.clone(), line(), PullOptions::new("u-17", "phone-1").unwrap())
        .spawn_observed(move |report| sender.send(report.received).unwrap_or_default())
        .unwrap();
    while came.recv().unwrap() < 2 {}
    work(&store);
    acks.wake();
    let model = hub.0.lock().unwrap();
    let model = hub.1.wait_while(model, |model| !model.is_settled()).unwrap();
    assert_eq!((model.deliveries[0].acks, model.events[0].state), (1, "acked"));
    drop(model);
    assert_eq!(puller.stop().unwrap().received, 2);
    acks.stop().unwrap();
}
