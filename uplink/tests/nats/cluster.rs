//! The leader of a stream on three servers is killed while events are drained into it.
//!
//! Method: drain into a stream with three replicas, kill its leader once a part is there, and count what the others
//! have.

use std::time::Duration;

use onceward_uplink::nats::{NatsOptions, NatsUploader};

use super::reader::Reader;
use super::server::{Server, free_port, until};
use super::terminal::{Terminal, options};

/// Three servers of one cluster.
struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    fn start() -> Self {
        let names = ["a", "b", "c"];
        let routes: Vec<u16> = names.iter().map(|_| free_port()).collect();
        let all: Vec<String> =
            routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers: Vec<Server> = names
            .iter()
            .zip(&all)
            .map(|(name, own)| {
                let routes = all.join(",");
                let more = ["-n", name, "--cluster_name", "shop", "--cluster", own, "--routes"];
                let more = more.map(str::to_owned).into_iter().chain([routes]);
                Server::new(free_port(), &more.collect::<Vec<_>>())
            })
            .collect();
        servers.iter_mut().for_each(Server::run_unasked);
        servers.iter_mut().for_each(Server::wait);
        Self { servers }
    }

    fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }
}

#[test]
fn the_death_of_the_streams_leader_loses_nothing_and_doubles_nothing() {
    let mut cluster = Cluster::start();
    let urls = cluster.urls();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let reader = Reader::of(&urls);
    until("the cluster has a leader", || reader.makes("SALES", r#""num_replicas":3"#));
    let terminal = Terminal::with(3_000, &["default"]);
    let to = NatsOptions::new(&urls, "SALES").unwrap().with_ack_timeout(Duration::from_secs(2));
    let uploader = NatsUploader::new(terminal.store.clone(), to)
        .unwrap()
        .draining(options("default").with_items_max(50), 1)
        .spawn()
        .unwrap();
    until("a part of it is there", || reader.last("SALES") > 200);
    let leader = reader.leader("SALES");
    let at = ["a", "b", "c"].iter().position(|name| *name == leader).unwrap();
    cluster.servers[at].kill();
    assert!(terminal.pending() > 0, "too late: all of it was gone before");
    assert!(uploader.flush(Duration::from_secs(60)), "{:?}", uploader.report());
    let report = uploader.stop().unwrap();
    assert_eq!(report.accepted + report.duplicate, 3_000, "{report:?}");
    drop(reader);
    let alive: Vec<&str> =
        urls.iter().enumerate().filter(|(of, _)| *of != at).map(|(_, url)| *url).collect();
    terminal.assert_each_once(&Reader::of(&alive), "SALES");
}
