//! The rows of the matrix: every fault of the kit, some in several shapes, and how often each is met.
//! Method: a table of lines as scripts of the kit have them; a test holds it against the kit's own table.

use std::collections::BTreeSet;

use onceward_uplink::faults::{Fault, Injection, Plan, TABLE, Weights};

/// How often requests of a run meet the fault. The first one always does.
#[derive(Clone, Copy, Debug)]
enum Often {
    /// Half of them, as the seed has it.
    Half,
    /// One of six, because the terminal waits for its time limit each time.
    Seldom,
    /// All of them: it is how the line is.
    Always,
    /// As these lines of a script say.
    Script(&'static str),
}

/// A row of the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixRow {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// The fault of the first request as a plan names it.
    text: &'static str,
    /// How often it is met.
    often: Often,
}

impl MatrixRow {
    /// The fault with its arguments.
    fn injection(&self) -> Injection {
        self.text.parse().unwrap()
    }

    /// The fault.
    pub(crate) fn fault(&self) -> Fault {
        self.injection().fault()
    }

    /// Which request meets what in the run of this seed.
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let first = Plan::script(&format!("1 {}", self.text)).unwrap();
        let with = |weights| first.clone().or_seeded(seed, weights);
        match self.often {
            // Also what the row leaves open is decided by the seed.
            Often::Half => with(Weights::half_of([self.injection()])),
            Often::Seldom => with(Weights::of([(self.injection(), 1), (Fault::Pass.into(), 5)])),
            Often::Always => Plan::pass().or_always(self.injection()),
            Often::Script(text) => Plan::script(text).unwrap().or_seeded(seed, mixed()),
        }
    }

    /// Whether requests are slowed down and meet nothing else.
    pub(crate) fn is_shape(&self) -> bool {
        matches!(self.fault(), Fault::Pass | Fault::Delay | Fault::Rate)
    }

    /// Whether this refuses a request in the upstream's own words, so that an event which is refused alone goes to a
    /// person.
    pub(crate) fn refuses_by_name(&self) -> bool {
        matches!(self.fault(), Fault::Status400 | Fault::Status413) || self.is_mixed()
    }

    /// Whether many faults are met in a run.
    fn is_mixed(&self) -> bool {
        matches!(self.often, Often::Script(_))
    }
}

/// Every fault, each as often as another, but for those that wait for time limits.
fn mixed() -> Weights {
    let faults = TABLE.iter().map(|row| row.fault).filter(|fault| !is_slow(*fault));
    Weights::half_of(faults.filter(|fault| *fault != Fault::Pass).map(Injection::from))
}

/// Whether a terminal mostly learns of it by its own time limit, or by the proxy's.
fn is_slow(fault: Fault) -> bool {
    use Fault::{Delay, DripBody, DripHead, GzipBomb, Hang, Rate, Refuse};
    [Delay, DripBody, DripHead, GzipBomb, Hang, Rate, Refuse].contains(&fault)
}

/// A row that half of the requests meet.
const fn half(text: &'static str) -> MatrixRow {
    MatrixRow { name: text, text, often: Often::Half }
}

/// A row that few requests meet.
const fn seldom(text: &'static str) -> MatrixRow {
    MatrixRow { name: text, text, often: Often::Seldom }
}

/// A row that is how the line is.
const fn always(text: &'static str) -> MatrixRow {
    MatrixRow { name: text, text, often: Often::Always }
}

/// A row in which requests meet any fault, but for those that this script names.
const fn any(name: &'static str, script: &'static str) -> MatrixRow {
    MatrixRow { name, text: "lost_reply", often: Often::Script(script) }
}

/// The rows.
pub(crate) const ROWS: &[MatrixRow] = &[
    always("pass"),
    always("delay ms=4"),
    always("rate bytes_per_s=400000"),
    half("cut_request"),
    half("cut_request bytes=half"),
    half("cut_reply"),
    half("cut_reply bytes=half"),
    half("lost_reply"),
    half("hung_up"),
    half("twice"),
    half("late"),
    half("late requests=5"),
    half("late_copy"),
    half("late_copy requests=0"),
    half("old_reply"),
    half("items_shuffled"),
    half("item_dropped"),
    half("stranger_added"),
    half("item_doubled"),
    half("malformed_json"),
    half("empty_body"),
    half("null_body"),
    half("html_200"),
    half("login_redirect"),
    half("status_202"),
    half("status_204"),
    half("redirect_same_host"),
    half("redirect_other_host"),
    half("redirect_loop"),
    half("status_400"),
    half("status_401"),
    half("status_403"),
    half("status_409"),
    half("status_413"),
    half("status_421"),
    half("status_429 retry_after=0"),
    half("status_429 retry_after=1"),
    half("status_429 retry_after=7200"),
    half("status_429 retry_after=date"),
    half("status_429 retry_after=negative"),
    half("status_429 retry_after=huge"),
    half("status_429 retry_after=garbage"),
    half("status_429 retry_after=absent"),
    half("status_500"),
    half("status_502"),
    half("status_503 retry_after=0"),
    half("status_503 retry_after=1"),
    half("status_503 retry_after=7200"),
    half("status_503 retry_after=date"),
    half("status_503 retry_after=negative"),
    half("status_503 retry_after=huge"),
    half("status_503 retry_after=garbage"),
    half("status_503 retry_after=absent"),
    half("status_511"),
    seldom("drip_head ms=1"),
    seldom("drip_head ms=100"),
    seldom("drip_body ms=100"),
    half("drip_body ms=0"),
    half("reset"),
    half("short_length"),
    half("long_length"),
    half("two_lengths"),
    half("bad_chunk"),
    half("bad_header"),
    seldom("endless_body"),
    seldom("gzip_bomb bytes=4194304"),
    half("deep_json depth=20000"),
    half("close_after"),
    seldom("refuse ms=20"),
    seldom("hang"),
    any("any of them", "1 lost_reply"),
    // Of replies that are on their way at once, those to later requests come first.
    any("any, replies overtake", "1 lost_reply\nevery 2 delay ms=8"),
];

/// Checks that no fault was forgotten.
pub(crate) fn assert_complete() {
    let named: BTreeSet<Fault> = ROWS.iter().map(MatrixRow::fault).collect();
    let all: BTreeSet<Fault> = TABLE.iter().map(|row| row.fault).collect();
    assert_eq!(named, all);
}
