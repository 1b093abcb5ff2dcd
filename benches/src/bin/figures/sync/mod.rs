//! The figures of sending: what a till drains to our own hub, both on this machine, over loopback and over a line that
//! is slow.
//!
//! | figure | what is measured |
//! |---|---|
//! | `forloy_loopback`, `wede_loopback`, `stream_loopback` | events a second that the hub confirms durably, till and hub on the same cores |
//! | `forloy_cpu`, `wede_cpu`, `stream_cpu` | processor time of the till's process for each of them |
//! | `forloy_100ms`, `wede_100ms`, `stream_100ms` | events a second over a round trip of 100 ms, against one request at a time |
//! | `forloy_wire`, `wede_wire`, `stream_wire` | bytes both ways for each event, heads included |
//! | `stream_10mbit`, `stream_100mbit` | bytes to the hub, heads included, against what a line of so many Mbit/s with a round trip of 100 ms carries; purchases that are all signature, so that the line is what is measured |
//! | `stream_wire_real` | bytes both ways for each byte of the payloads of real purchases |
//! | `lanes_10000` | as `forloy_loopback`, each event in one of 10,000 lanes |
//! | `drain_memory` | anonymous memory of the till's process while it drains, over what it has with the same store open |
//! | `signal_ms` | from the host's word that the line is back to the first request at the upstream |
//! | `line_back_s` | from the line's return to the first request, without a word: the middle of 200 terminals after outages of 150 s, in simulated time |
//!
//! Till and hub are processes of their own. Each event is a purchase of about 200 bytes under a key of 36.

mod back;
mod drained;
mod hub;
mod stock;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onceward_benches::pairing::Plan;
use onceward_benches::spread::Spread;
use onceward_uplink::faults::{self, FaultProxy};

use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};
use crate::workplace::Workplace;

pub(crate) use drained::{Drained, drain};
pub(crate) use hub::serve;

use drained::{Dialect, Job};
use hub::Hub;
use stock::{Goods, Stock};

/// Events a second.
const PER_S: &str = "events/s";

/// What is measured of a dialect.
struct Of {
    dialect: Dialect,
    loopback: Asked,
    cpu: Asked,
    slow: Asked,
    wire: Asked,
}

const DIALECTS: [Of; 3] = [
    Of {
        dialect: Dialect::Forloy,
        loopback: asked("forloy_loopback", PER_S, Must::AtLeast(40_000.0)),
        cpu: asked("forloy_cpu", "us/event", Must::AtMost(8.0)),
        slow: asked("forloy_100ms", "ratio to one request at a time", Must::AtLeast(8.0)),
        wire: asked("forloy_wire", "bytes/event", Must::BeReported),
    },
    Of {
        dialect: Dialect::Wede,
        loopback: asked("wede_loopback", PER_S, Must::AtLeast(70_000.0)),
        cpu: asked("wede_cpu", "us/event", Must::AtMost(5.0)),
        slow: asked("wede_100ms", "ratio to one request at a time", Must::BeReported),
        wire: asked("wede_wire", "bytes/event", Must::BeReported),
    },
    Of {
        dialect: Dialect::Stream,
        loopback: asked("stream_loopback", PER_S, Must::AtLeast(250_000.0)),
        cpu: asked("stream_cpu", "us/event", Must::AtMost(1.5)),
        slow: asked("stream_100ms", "ratio to one request at a time", Must::BeReported),
        wire: asked("stream_wire", "bytes/event", Must::BeReported),
    },
];

/// What a line carries, Mbit/s, and how much of it is used at least.
const RATES: [(u64, Asked); 2] = [
    (10, asked("stream_10mbit", "of the line", Must::AtLeast(0.8))),
    (100, asked("stream_100mbit", "of the line", Must::AtLeast(0.8))),
];
const REAL: Asked = asked("stream_wire_real", "bytes/payload byte", Must::AtMost(0.35));
const LANES: Asked = asked("lanes_10000", PER_S, Must::BeReported);
const MEMORY: Asked = asked("drain_memory", "MB", Must::AtMost(32.0));

const fn asked(figure: &'static str, unit: &'static str, must: Must) -> Asked {
    Asked { figure, unit, must }
}

/// What the figures share.
struct Setting<'a> {
    dir: &'a Path,
    rounds: usize,
    stock: BTreeMap<(u64, Goods), Stock>,
}

impl Setting<'_> {
    /// A copy of a store with so many events, and how many bytes their payloads have.
    fn till(&mut self, events: u64, goods: Goods) -> Result<(PathBuf, u64), Box<dyn Error>> {
        let dir = self.dir;
        let stock = match self.stock.entry((events, goods)) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(wanted) => wanted.insert(Stock::make(dir, events, goods)?),
        };
        Ok((stock.copied(&dir.join("till"))?, stock.payload_bytes))
    }

    /// Drains a store of so many events to a hub that has none.
    fn drain(&mut self, job: &Job, events: u64, goods: Goods) -> Result<Drained, Box<dyn Error>> {
        let (till, payload_bytes) = self.till(events, goods)?;
        let data = self.dir.join("hub");
        let hub = Hub::start(&data)?;
        let proxy = match (job.round_trip_ms, job.bytes_per_s) {
            (0, 0) => None,
            line => {
                Some(FaultProxy::start(([127, 0, 0, 1], 0).into(), hub.address(), slow(line)?)?)
            }
        };
        let to = proxy.as_ref().map_or_else(|| hub.address(), FaultProxy::addr);
        job.write(&till, &format!("http://{to}"))?;
        let mut drained: Drained = Child::SyncDrained.have_done("sync", &till, events)?;
        if let Some(proxy) = &proxy {
            let counts = proxy.counts();
            drained.bytes_up = counts.bytes_up as f64;
            drained.wire_bytes = (counts.bytes_up + counts.bytes_down) as f64;
        }
        drained.payload_bytes = payload_bytes as f64;
        drop((proxy, hub));
        std::fs::remove_dir_all(&till)?;
        std::fs::remove_dir_all(&data)?;
        if drained.events != events {
            return Err(format!("{} of {events} events were confirmed", drained.events).into());
        }
        Ok(drained)
    }

    /// The same several times.
    fn drains(
        &mut self,
        job: &Job,
        events: u64,
        goods: Goods,
    ) -> Result<Vec<Drained>, Box<dyn Error>> {
        (0..self.rounds).map(|_| self.drain(job, events, goods)).collect()
    }
}

/// A line with this round trip, that carries so much.
fn slow((round_trip_ms, bytes_per_s): (u64, u64)) -> Result<faults::Plan, Box<dyn Error>> {
    let mut script = format!("* delay ms={}\n", round_trip_ms / 2);
    if bytes_per_s > 0 {
        script += &format!("* rate bytes_per_s={bytes_per_s}\n");
    }
    Ok(faults::Plan::script(&script)?)
}

/// Made up, in no lane.
const PLAIN: Goods = Goods::Made { lanes: 0 };

/// Measures all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    (_plan, is_quick): (Plan, bool),
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let rounds = if is_quick { 1 } else { 5 };
    let many = if is_quick { 100_000 } else { 500_000 };
    let mut setting = Setting { dir: place.path(), rounds, stock: BTreeMap::new() };
    for of in DIALECTS {
        measure_loopback(sheet, &mut setting, &of, many)?;
        let few = if is_quick { 10_000 } else { 100_000 };
        let few = if matches!(of.dialect, Dialect::Stream) { few * 10 } else { few };
        measure_slow(sheet, &mut setting, &of, few)?;
    }
    measure_line(sheet, &mut setting, is_quick)?;
    if sheet.wants(LANES) {
        let goods = Goods::Made { lanes: 10_000 };
        let drained = setting.drains(&Job::new(Dialect::Forloy), many / 5, goods)?;
        sheet.add(LANES, spread(&drained, |it| it.events as f64 / it.seconds)?, Detail::new())?;
    }
    if sheet.wants(MEMORY) {
        let events = if is_quick { 100_000 } else { 1_000_000 };
        let drained = setting.drain(&Job::new(Dialect::Forloy), events, PLAIN)?;
        let over = (drained.most_bytes - drained.idle_bytes) as f64 / 1e6;
        let detail = Detail::from([("idle_mb", drained.idle_bytes as f64 / 1e6)]);
        sheet.add(MEMORY, Spread::of(&[over]).ok_or("no rounds")?, detail)?;
    }
    back::measure(sheet, place.path(), rounds)
}

fn spread(drained: &[Drained], of: impl Fn(&Drained) -> f64) -> Result<Spread, Box<dyn Error>> {
    let values: Vec<f64> = drained.iter().map(of).collect();
    Spread::of(&values).ok_or_else(|| "no rounds".into())
}

fn measure_loopback(
    sheet: &mut Sheet,
    setting: &mut Setting<'_>,
    of: &Of,
    events: u64,
) -> Result<(), Box<dyn Error>> {
    if !(sheet.wants(of.loopback) || sheet.wants(of.cpu)) {
        return Ok(());
    }
    let drained = setting.drains(&Job::new(of.dialect), events, PLAIN)?;
    let detail = || Detail::from([("events", events as f64)]);
    if sheet.wants(of.loopback) {
        let rate = spread(&drained, |it| it.events as f64 / it.seconds)?;
        sheet.add(of.loopback, rate, detail())?;
    }
    if sheet.wants(of.cpu) {
        let cpu = spread(&drained, |it| it.cpu_s * 1e6 / it.events as f64)?;
        sheet.add(of.cpu, cpu, detail())?;
    }
    Ok(())
}

fn measure_slow(
    sheet: &mut Sheet,
    setting: &mut Setting<'_>,
    of: &Of,
    events: u64,
) -> Result<(), Box<dyn Error>> {
    if !(sheet.wants(of.slow) || sheet.wants(of.wire)) {
        return Ok(());
    }
    let over = |window| Job::new(of.dialect).over(window, 100);
    let drained = setting.drains(&over(16), events, PLAIN)?;
    if sheet.wants(of.slow) {
        // One request at a time takes long: a tenth of the events shows the rate.
        let lone = setting.drain(&over(1), (events / 10).max(2_000), PLAIN)?;
        let lone_rate = lone.events as f64 / lone.seconds;
        let ratio = spread(&drained, |it| it.events as f64 / it.seconds / lone_rate)?;
        let detail = Detail::from([
            ("one_at_a_time_events_per_s", lone_rate),
            ("events_per_s", spread(&drained, |it| it.events as f64 / it.seconds)?.median),
        ]);
        sheet.add(of.slow, ratio, detail)?;
    }
    if sheet.wants(of.wire) {
        let bytes = spread(&drained, |it| it.wire_bytes / it.events as f64)?;
        sheet.add(
            of.wire,
            bytes,
            Detail::from([("payload_bytes", stock::PAYLOAD_BYTES as f64)]),
        )?;
    }
    Ok(())
}

/// How much of a line the stream uses, and how much of it an event needs.
fn measure_line(
    sheet: &mut Sheet,
    setting: &mut Setting<'_>,
    is_quick: bool,
) -> Result<(), Box<dyn Error>> {
    for (mbit, asked) in RATES {
        if !sheet.wants(asked) {
            continue;
        }
        let bytes_per_s = mbit * 1_000_000 / 8;
        let job = Job::new(Dialect::Stream).over(16, 100).at(bytes_per_s);
        // So many as the line carries in 4 or 20 seconds.
        let seconds = if is_quick { 4 } else { 20 };
        let events = bytes_per_s * seconds / stock::PAYLOAD_BYTES as u64;
        let drained = setting.drains(&job, events, Goods::Signed)?;
        let used = spread(&drained, |it| it.bytes_up / it.seconds / bytes_per_s as f64)?;
        sheet.add(asked, used, Detail::from([("events", events as f64)]))?;
    }
    if sheet.wants(REAL) {
        let job = Job::new(Dialect::Stream).over(16, 1);
        let drained = setting.drains(&job, 20_000, Goods::Real)?;
        let bytes = spread(&drained, |it| it.wire_bytes / it.payload_bytes)?;
        sheet.add(REAL, bytes, Detail::new())?;
    }
    Ok(())
}

/// How long anything is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(60);
