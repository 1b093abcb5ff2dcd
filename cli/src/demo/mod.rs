//! `demo`: the product's proof. Real purchases go from a terminal to a hub through kills and a bad line, and at the end
//! each must have taken effect once.
//!
//! ```text
//! capture (killed twice) -> store -> sync (killed) -> bad line -> hub (killed) -> ledger
//!                             '------------- compared, purchase by purchase ---------'
//! ```

mod cards;
mod child;
mod compare;
mod dialect;
mod hub;
mod line;
mod purchases;
mod record;
mod report;
mod site;
mod till;
mod upload;
mod watch;

use std::{fs::File, path::Path};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use self::{
    cards::Cards,
    child::Launch,
    dialect::DemoDialect,
    purchases::Purchase,
    site::{Run, Site},
    till::{Captures, Till},
    upload::Upload,
    watch::Watch,
};
use crate::{
    args::DemoArgs,
    exit::{Failure, Outcome},
    output::chatter,
};

/// Runs the command.
///
/// # Errors
///
/// Something differs at the end, or the demo could not be carried out; both end with the code 1.
pub fn run(args: &DemoArgs, json: bool) -> Outcome {
    if let Some(dir) = &args.check {
        return check(dir, json);
    }
    let dialect = DemoDialect::new(&args.dialect)?;
    let watch = Watch::start()?;
    let site = Site::create(args.keep.as_deref())?;
    let played = play(args, &dialect, &site, &watch);
    let outcome = played.and_then(|run| {
        let findings = compare::compare(&site, &run)?;
        let run = Run { seconds: watch.elapsed().as_secs_f64(), ..run };
        site.write_run(&run)?;
        report::show(&findings, &run, json)
    });
    let removed = site.remove();
    let exit = outcome?;
    removed.map(|()| exit)
}

/// Compares the stores that an earlier demo kept.
fn check(dir: &Path, json: bool) -> Outcome {
    let site = Site::kept(dir);
    let run = site.read_run()?;
    let findings = compare::compare(&site, &run)?;
    report::show(&findings, &run, json)
}

/// Everything up to the comparison. All children have ended when this returns.
fn play(
    args: &DemoArgs,
    dialect: &DemoDialect,
    site: &Site,
    watch: &Watch,
) -> Result<Run, Failure> {
    let purchases = purchases::purchases(args.rows, dialect.money_members())?;
    let rows = count(purchases.len());

    let bar = progress("capturing", rows);
    let till = Till { site, purchases: &purchases, watch };
    let captures = till.capture_all(&bar)?;
    till.record(&captures)?;
    say(&bar, &captured(&captures, rows));

    let key = random_key()?;
    site.replace(&site.cards(), &cards::file(&purchases, Cards::Faulty))?;
    let mut upload = Upload::start((site, dialect), &key, (args.seed, rows), watch)?;
    let bar = progress("uploading", rows);
    upload.drain(&bar)?;
    let reviewed = reviewed(site, watch)?;
    say(&bar, &format!("uploaded through a bad line; {} purchases wait in review", reviewed.len()));

    if !reviewed.is_empty() {
        let bar = progress("resolving", rows);
        resolve(site, &purchases, watch)?;
        upload.drain(&bar)?;
        say(&bar, "mended the cards and sent those purchases again, under their own keys");
    }
    let run = upload.end()?;
    let kills = captures.kills.saturating_add(run.kills);
    Ok(Run { rows, reviewed, kills, dialect: dialect.particulars(), ..run })
}

/// A line about the captures.
fn captured(captures: &Captures, rows: u64) -> String {
    let Captures { kills, known, .. } = captures;
    let mut text = format!(
        "captured {rows} purchases with no hub in sight, killed the terminal {kills} times"
    );
    if *known > 0 {
        text.push_str(&format!("; {known} were safe before it could say so"));
    }
    text
}

/// An item of `review list`. Fields that the demo does not need are left out.
#[derive(Debug, Deserialize)]
struct Reviewed {
    /// The purchase's key.
    key: String,
}

/// The keys that wait in review.
fn reviewed(site: &Site, watch: &Watch) -> Result<Vec<String>, Failure> {
    let file = File::create(site.reviewed())
        .map_err(|error| Failure::failed(format!("cannot write the review items: {error}")))?;
    let list = Launch::new(site, "review list")?;
    list.option("--store", site.terminal()).flag("--json").stdout(file).run(site, watch)?;
    let items: Vec<Reviewed> = site::read_lines(&site.reviewed())?;
    Ok(items.into_iter().map(|item| item.key).collect())
}

/// What a person does about rejected cards: sees to the cards, then has everything sent again.
fn resolve(site: &Site, purchases: &[Purchase], watch: &Watch) -> Result<(), Failure> {
    site.replace(&site.cards(), &cards::file(purchases, Cards::Mended))?;
    let retry = Launch::new(site, "review retry")?;
    retry.option("--store", site.terminal()).flag("--all").run(site, watch)
}

/// A bearer key for this run.
fn random_key() -> Result<String, Failure> {
    let random = getrandom::u64()
        .map_err(|error| Failure::failed(format!("no random number for a key: {error}")))?;
    Ok(format!("demo_{random:016x}"))
}

/// A bar on stderr; hidden unless that is a terminal.
fn progress(doing: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(doing);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

/// Ends a stage with a line about it.
fn say(bar: &ProgressBar, what: &str) {
    bar.finish_and_clear();
    chatter(what);
}

/// A length as a count.
fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
