//! The operations of a history, drawn from a seed. What an operation says does not depend on how the
//! ones before it ended, so that a prefix of a history is a history.

use super::words::{Bounds, CAPTURED, Delivered, INBOX, Item, Name, Rules, SALES, SHORT};
use crate::limits::WhenFull;
use crate::review::DecisionAction;
use crate::testing::draw::Draw;

/// How many calls are done once.
pub(super) const CALLS: usize = 7;

/// How the upstream answers a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mood {
    Well,
    LosesReply,
    Away,
    /// The reply leaves items out, tells others twice and two ways, and one that was not sent.
    Garbled,
    /// Some items are to be sent again later.
    Busy,
    TooLarge,
    Refuses,
    Blocks,
    StillAtIt,
}

/// Which version of a review item a person names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    None,
    Now,
    /// One that waited before.
    Before,
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Capture(Vec<Item>),
    Apply(Vec<Item>),
    Defer(Vec<Item>),
    Wait(usize),
    Let(usize),
    WouldAccept(Item),
    Cancel(Name),
    Settle(Vec<(Name, u8)>),
    Sync(&'static str, Vec<Mood>),
    Decide(Name, DecisionAction, Seen, &'static str),
    Drop(Name, DecisionAction, Seen, &'static str),
    Reviews(&'static str, usize),
    Begin(String, Option<u8>, u64),
    Complete(usize, u64),
    Release(usize),
    Renew(usize, u64),
    OpenWindow(&'static str, u64),
    CloseWindow(&'static str),
    Receive(Delivered),
    Progress(usize, u32),
    Resume(usize),
    Finish(usize, bool),
    Advance(u64),
    StepWall(i64),
    ConfirmTime,
    Tick,
    FillDisk(u64),
    FreeDisk,
    Compare,
    Close,
    Kill,
    Reboot {
        off_ms: u64,
        is_killed: bool,
    },
    /// The power goes so many operations of the disk into it; what was not synced survives by a seed.
    Cut(u64, u64, Box<Self>),
    /// A sync fails within it.
    FailSync(Box<Self>),
}

impl Op {
    /// What it is called in counts.
    pub(super) fn name(&self) -> String {
        let shown = format!("{self:?}");
        shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }
}

/// What a history is about: most of the time few areas, so that their operations meet.
#[derive(Clone, Debug)]
pub(super) struct Theme {
    pub(super) rules: Rules,
    /// How likely captures and sending, records, the inbox, and trouble with disk and power are.
    weights: [usize; 4],
    heavy_one_of: usize,
}

impl Theme {
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let mut limits = Bounds::default();
        if draw.is_one_of(2) {
            limits.when_full = draw.of(&[WhenFull::Refuse, WhenFull::EvictOldest]);
            match draw.index(6) {
                0 => limits.heavy = Some(2),
                1 => limits.count = Some(4 + draw.index(8)),
                2 => limits.sum = Some(120_000),
                3 => limits.age = Some(900_000),
                4 => limits.amount = Some(10_000),
                _ => (limits.count, limits.sum) = (Some(9), Some(150_000)),
            }
        }
        let rules =
            Rules { limits, leases_max: 2 + draw.index(4), deliveries_max: 3 + draw.index(4) };
        let mut weights = [6, 3, 3, 1 + draw.index(3)];
        let favourite = draw.index(3);
        weights[favourite] += 10;
        let heavy_one_of = if rules.limits.heavy.is_some() { 2 } else { draw.of(&[2, 4, 20]) };
        Self { rules, weights, heavy_one_of }
    }

    /// The next operation.
    pub(super) fn op(&self, draw: &mut Draw) -> Op {
        let mut area = draw.index(self.weights.iter().sum::<usize>() + 4);
        for (number, weight) in self.weights.iter().enumerate() {
            if area < *weight {
                return match number {
                    0 => self.of_events(draw),
                    1 => of_records(draw),
                    2 => of_inbox(draw),
                    _ => self.of_trouble(draw),
                };
            }
            area -= weight;
        }
        of_time(draw)
    }

    fn change(&self, draw: &mut Draw) -> Op {
        match draw.index(8) {
            0..4 => self.of_events(draw),
            4 => of_records(draw),
            5 => of_inbox(draw),
            _ => draw.of(&[Op::Tick, Op::Close, Op::ConfirmTime].each_ref()).clone(),
        }
    }

    fn item(&self, draw: &mut Draw) -> Item {
        let name = name(draw);
        // Mostly the content of a key is the same.
        let other = usize::from(draw.is_one_of(12));
        let number: usize = name.1[1..].parse().unwrap();
        let heavy = if draw.is_one_of(self.heavy_one_of) { 12 } else { 0 };
        let content = if number % 5 == 4 { 12 + number % 4 } else { number % 12 } + 16 * other;
        let content =
            if heavy > 0 && number >= 10 { 12 + number % 4 + 16 * other } else { content };
        Item { name, content, dress: draw.small(8) }
    }

    fn items(&self, draw: &mut Draw) -> Vec<Item> {
        let count = draw.of(&[1, 1, 1, 2, 3, 5]);
        let mut items: Vec<Item> = Vec::new();
        for _ in 0..count {
            let is_heavy = items.iter().filter(|item| item.is_heavy()).count() >= 4;
            let item = self.item(draw);
            if !(is_heavy && item.is_heavy()) {
                items.push(item);
            }
        }
        items
    }

    fn of_events(&self, draw: &mut Draw) -> Op {
        let who = draw.of(&["anna", "ben"]);
        let seen = draw.of(&[Seen::None, Seen::Now, Seen::Now, Seen::Now, Seen::Before]);
        let action = draw.of(&[DecisionAction::Retry, DecisionAction::Resolve]);
        match draw.index(30) {
            0..8 => Op::Capture(self.items(draw)),
            8 => Op::Apply(self.items(draw)),
            9 | 10 => Op::Defer(self.items(draw)),
            11 => Op::Wait(draw.index(4)),
            12 => Op::Let(draw.index(4)),
            13 | 14 => Op::WouldAccept(self.item(draw)),
            15 => Op::Cancel(name(draw)),
            16..20 => {
                let count = 1 + draw.index(8);
                Op::Settle((0..count).map(|_| (name(draw), draw.small(8))).collect())
            }
            20..25 => {
                let count = 1 + draw.index(3);
                let scope = draw.of(&[SALES, SALES, SHORT, CAPTURED, INBOX]);
                Op::Sync(scope, (0..count).map(|_| mood(draw)).collect())
            }
            25..28 => Op::Decide(name(draw), action, seen, who),
            28 => Op::Drop(name(draw), action, seen, who),
            _ => Op::Reviews(draw.of(&[SALES, SHORT, "", ""]), 1 + draw.index(3)),
        }
    }

    fn of_trouble(&self, draw: &mut Draw) -> Op {
        match draw.index(14) {
            0..7 => {
                let op = Box::new(self.change(draw));
                let ops = draw.of(&[2, 4, 8, 16, 40]);
                Op::Cut(draw.next() % ops, draw.next(), op)
            }
            7 => Op::FailSync(Box::new(self.change(draw))),
            8 => Op::Kill,
            9 => Op::Close,
            10 => Op::FillDisk(draw.of(&[0, 0, 5_000, 300_000])),
            _ => Op::FreeDisk,
        }
    }
}

/// How many keys each scope has.
const KEYS: usize = 12;

/// Every name that a history may use.
pub(super) fn names() -> impl Iterator<Item = Name> {
    let of = |scope: &'static str| (0..KEYS).map(move |number| named(scope, number));
    [SALES, SHORT, CAPTURED].into_iter().flat_map(of)
}

/// Keys of two scopes differ: an upstream knows no scopes.
fn named(scope: &'static str, number: usize) -> Name {
    let letter = match scope {
        SALES => 's',
        SHORT => 't',
        _ => 'c',
    };
    (scope, format!("{letter}{number}"))
}

fn name(draw: &mut Draw) -> Name {
    let scope = draw.of(&[SALES, SALES, SHORT, CAPTURED]);
    named(scope, draw.index(KEYS))
}

fn mood(draw: &mut Draw) -> Mood {
    use Mood::{Away, Blocks, Busy, Garbled, LosesReply, Refuses, StillAtIt, TooLarge, Well};
    let all = [Well, LosesReply, Away, Garbled, Busy, TooLarge, Refuses, Blocks, StillAtIt];
    if draw.is_one_of(2) { Well } else { draw.of(&all) }
}

fn of_records(draw: &mut Draw) -> Op {
    let lease_ms = draw.of(&[1_000, 5_000, 60_000, 3_000_000]);
    match draw.index(10) {
        0..4 => {
            let request = draw.of(&[None, None, Some(0), Some(1)]);
            Op::Begin(format!("r{}", draw.index(CALLS)), request, lease_ms)
        }
        4..7 => Op::Complete(draw.index(5), draw.next() % 3),
        7 => Op::Release(draw.index(5)),
        _ => Op::Renew(draw.index(5), lease_ms),
    }
}

fn of_inbox(draw: &mut Draw) -> Op {
    let window = draw.of(&["w0", "w1", "w2"]);
    match draw.index(20) {
        0..2 => Op::OpenWindow(window, draw.of(&[2_000, 60_000, 400_000, 5_000_000])),
        2 => Op::CloseWindow(window),
        3..10 => {
            let event = Some(draw.small(9)).filter(|_| !draw.is_one_of(3));
            let external = Some(draw.small(9)).filter(|_| draw.is_one_of(3));
            let is_within = event.is_none() || draw.is_one_of(4);
            let within = (draw.small(2), draw.small(3), window);
            let steps = draw.of(&[0, 1, 3]);
            Op::Receive(Delivered { event, external, within: is_within.then_some(within), steps })
        }
        10..14 => Op::Progress(draw.index(8), draw.of(&[0, 1, 1, 2, 2, 3, 4])),
        14 => Op::Resume(draw.index(8)),
        15..18 => Op::Finish(draw.index(8), false),
        _ => Op::Finish(draw.index(8), true),
    }
}

fn of_time(draw: &mut Draw) -> Op {
    const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1_000;
    match draw.index(16) {
        0..2 => Op::Advance(draw.next() % 2_000),
        2..4 => Op::Advance(draw.of(&[30_000, 200_000, 620_000])),
        4 => Op::Advance(draw.of(&[1_250_000, 3_610_000, 9_000_000])),
        5 => Op::StepWall(draw.of(&[TEN_YEARS_MS, -TEN_YEARS_MS, 3_600_000, -3_600_000])),
        6..8 => Op::ConfirmTime,
        8 => Op::Reboot { off_ms: draw.next() % 5_000_000, is_killed: draw.is_one_of(2) },
        9..12 => Op::Tick,
        _ => Op::Compare,
    }
}
