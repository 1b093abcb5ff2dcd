//! Answers "is the promise of speed kept?": measures a part and its floor in turn, in one run, and
//! prints one line of JSON for each figure.
//!
//! Exits 0 if every figure is reached, 1 if one falls short, 2 if something could not be measured.

#![forbid(unsafe_code)]

mod child;
mod engine;
mod figure;
mod index;
mod instructions;
#[cfg(feature = "peers")]
mod peers;
mod sync;
mod wal;
mod workplace;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use onceward_benches::pairing::Plan;

use figure::Sheet;
use index::Scale;
use instructions::Against;
use workplace::Workplace;

/// Measures a part of Onceward beside what the machine can do, and says whether it is fast enough.
///
/// One line of JSON for each figure. Exit status 1: a figure falls short; 2: it could not be measured.
#[derive(Debug, Parser)]
#[command(name = "figures")]
struct Arguments {
    /// What to measure.
    area: Area,
    /// Fewer and shorter rounds: ends within 50 seconds, of peers within three minutes.
    #[arg(long)]
    quick: bool,
    /// Of the engine: counts the instructions of an event, under valgrind. A quick run is compared with what is
    /// committed in `benches/instructions.json`, within 5 percent; otherwise what must be reached counts.
    #[arg(long)]
    instructions: bool,
    /// Commits what a quick run counts, from now on.
    #[arg(long, requires = "instructions", requires = "quick")]
    bless: bool,
    /// Only the figures whose names begin so, for work on one of them.
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Where to write, on the disk that is meant; what is written is removed at the end.
    #[arg(long, default_value = "target/figures")]
    dir: PathBuf,
    /// Of peers: writes the document and the chart anew.
    #[arg(long)]
    write: bool,
    /// Of peers: does only this measurement, in `dir`.
    #[arg(long, hide = true)]
    job: Option<String>,
    /// Does only this piece of a figure's work, in `dir`: some are for a process of their own.
    #[arg(long, hide = true)]
    child: Option<child::Child>,
    /// For so many keys.
    #[arg(long, hide = true, default_value_t = 0)]
    keys: u64,
}

/// The parts that have figures.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Area {
    /// The log: durable appends, recovery, reading beside writers.
    Wal,
    /// The index: lookups, memory, expiry.
    Index,
    /// The engine: captures.
    Engine,
    /// Draining and settling.
    Sync,
    /// The hub.
    Hub,
    /// Other stores, doing the same work.
    Peers,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.job, arguments.child) {
        (Some(job), _) => peer_work(job, &arguments).map(|()| 0),
        (None, Some(child)) => child.run(&arguments.dir, arguments.keys).map(|()| 0),
        (None, None) => match arguments.area {
            Area::Peers => measure_peers(&arguments),
            _ => measure(&arguments).map(|sheet| sheet.exit_code()),
        },
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::from(figure::EXIT_FAILED)
        }
    }
}

/// Does one measurement of a peer.
#[cfg(feature = "peers")]
fn peer_work(job: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    peers::work(job, &arguments.dir)
}

/// Measures the peers; returns what the program ends with.
#[cfg(feature = "peers")]
fn measure_peers(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let extents = if arguments.quick { peers::Extents::QUICK } else { peers::Extents::FULL };
    let place = Workplace::create(&arguments.dir)?;
    let are_all = peers::measure((extents, &arguments.only, arguments.write), &place)?;
    Ok(if are_all { 0 } else { figure::EXIT_FAILED })
}

/// Says what is missing.
#[cfg(not(feature = "peers"))]
fn peer_work(_job: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    measure_peers(arguments).map(drop)
}

/// Says what is missing.
#[cfg(not(feature = "peers"))]
fn measure_peers(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let wanted = if arguments.write { "the document" } else { "the area `peers`" };
    Err(format!("{wanted} needs a build with `--features peers`").into())
}

/// Measures one area.
fn measure(arguments: &Arguments) -> Result<Sheet, Box<dyn Error>> {
    let plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    match arguments.area {
        Area::Wal => {
            let place = Workplace::create(&arguments.dir)?;
            let mut sheet = Sheet::new("wal", &arguments.only);
            wal::measure(&mut sheet, plan, &place)?;
            Ok(sheet)
        }
        Area::Index => {
            let scale = if arguments.quick { Scale::QUICK } else { Scale::FULL };
            let place = Workplace::create(&arguments.dir)?;
            let mut sheet = Sheet::new("index", &arguments.only);
            index::measure(&mut sheet, scale, &place)?;
            Ok(sheet)
        }
        Area::Engine => {
            let place = Workplace::create(&arguments.dir)?;
            let mut sheet = Sheet::new("engine", &arguments.only);
            if arguments.instructions {
                let against = match (arguments.quick, arguments.bless) {
                    (false, _) => Against::Must,
                    (true, false) => Against::Committed,
                    (true, true) => Against::Bless,
                };
                instructions::measure(&mut sheet, against, &place)?;
                return Ok(sheet);
            }
            engine::measure(&mut sheet, (plan, arguments.quick), &place)?;
            Ok(sheet)
        }
        Area::Sync => {
            let place = Workplace::create(&arguments.dir)?;
            let mut sheet = Sheet::new("sync", &arguments.only);
            sync::measure(&mut sheet, (plan, arguments.quick), &place)?;
            Ok(sheet)
        }
        area @ (Area::Hub | Area::Peers) => {
            let name = area.to_possible_value();
            let name = name.as_ref().map_or("this", clap::builder::PossibleValue::get_name);
            let others = "`wal`, `index`, `engine` and `sync` have";
            Err(format!("the area `{name}` has no figures yet; {others}").into())
        }
    }
}
