//! Many events in flight from few threads: nobody waits for an event of its own.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use onceward_benches::pairing::{Extent, paired};
use onceward_benches::raw::RawFile;
use onceward_benches::threads::in_threads;
use onceward_benches::wal::commits;
use onceward_benches::wal::stock::Stock;
use onceward_wal::AppendTicket;

use super::{Setting, sides};
use crate::figure::{Asked, Must, Sheet};

/// Events in flight, of all threads.
const IN_FLIGHT: usize = 64;
/// Threads that put them there.
const THREADS: usize = 2;

/// What is asked of them.
const ASKED: Asked = Asked {
    figure: "tickets_64",
    unit: "ratio to raw limit of 64 events a sync",
    must: Must::AtLeast(0.60),
};

/// Measures them beside one `pwrite` and sync of 64 frames.
pub(super) fn measure(
    sheet: &mut Sheet,
    setting: &Setting<'_>,
    raw: &mut RawFile,
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(ASKED) {
        return Ok(());
    }
    let Setting { plan, payloads, stock, .. } = setting;
    let plan = *plan;
    let bytes = payloads.for_floor(IN_FLIGHT);
    let turns = paired(
        plan,
        || {
            stock.make_room().unwrap();
            in_threads(THREADS, |thread| keep_in_flight(stock, thread, plan.slice))
        },
        || commits::raw(raw, &bytes, IN_FLIGHT, Extent::Lasting(plan.slice)),
    )?;
    Ok(sheet.add(ASKED, turns.share, sides(&turns))?)
}

/// Keeps this thread's share in flight for `slice`; returns how many events became durable.
///
/// It waits for the oldest event and takes every other one that is durable then.
fn keep_in_flight(stock: &Stock<'_>, thread: usize, slice: Duration) -> usize {
    let mut tickets: VecDeque<AppendTicket<'_>> = VecDeque::with_capacity(IN_FLIGHT);
    let began = Instant::now();
    let mut queued = thread;
    let mut durable = 0;
    loop {
        if began.elapsed() < slice {
            while tickets.len() < IN_FLIGHT / THREADS {
                tickets.push_back(stock.queue(queued));
                queued += THREADS;
            }
        }
        let Some(oldest) = tickets.pop_front() else { return durable };
        oldest.wait().unwrap();
        durable += 1;
        while tickets.front().is_some_and(is_durable) {
            tickets.pop_front();
            durable += 1;
        }
    }
}

/// Whether a ticket's event is durable by now.
fn is_durable(ticket: &AppendTicket<'_>) -> bool {
    ticket.poll().is_some_and(|answer| {
        answer.unwrap();
        true
    })
}
