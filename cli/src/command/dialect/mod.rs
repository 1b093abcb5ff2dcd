//! `dialect`: checks the description of a dialect, and shows those that come with the program. Sends nothing.

mod chosen;
mod reading;
mod shapes;

use std::path::Path;

use onceward::{Event, StoredEvent};
use onceward_uplink::{BUILT_IN, Dialect, HttpDialect, KeyPlace, Request, Response};

pub(super) use self::chosen::Chosen;
use self::reading::Read;
use self::shapes::{CheckShape, NamedShape};
use crate::{
    args::{DialectCheckArgs, DialectCommand, DialectName},
    command::capture,
    exit::{Exit, Failure, Outcome},
    output::{Output, counted},
    outside,
};

/// How many events a request in the dialect of that name carries at most.
///
/// # Errors
///
/// Its file describes none or cannot be read, or it has no requests.
pub(crate) fn items_max(name: &DialectName) -> Result<usize, Failure> {
    Ok(Chosen::named(name)?.of(String::new()).items_max())
}

/// Runs the command.
///
/// # Errors
///
/// The file or the event is wrong or cannot be read, or stdout refused.
pub fn run(command: &DialectCommand, json: bool) -> Outcome {
    let mut out = Output::stdout();
    match command {
        DialectCommand::Check(args) => check(args, &mut out, json)?,
        DialectCommand::List => {
            for (name, text) in BUILT_IN {
                let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
                match json {
                    true => out.json(&NamedShape { name, about })?,
                    false => out.line(&format!("{name}: {about}"))?,
                }
            }
        }
        DialectCommand::Show(args) => {
            let text = BUILT_IN.into_iter().find(|(name, _)| *name == args.name);
            out.paragraph(text.map(|(_, text)| text).unwrap_or_default())?;
        }
    }
    out.flush()?;
    Ok(Exit::Ok)
}

/// Shows what a file describes.
fn check(args: &DialectCheckArgs, out: &mut Output, json: bool) -> Result<(), Failure> {
    let dialect = chosen::load(&args.file)?.with_device_id(DEVICE_ID);
    let event = match &args.event {
        Some(file) => sample(&read("--event", file)?, file)?,
        None => sample(SAMPLE.as_bytes(), Path::new("the made-up event"))?,
    };
    let key = event.key.as_str().to_owned();
    let scope = event.scope.as_str().to_owned();
    let stored = StoredEvent::as_if_captured(event, CAPTURED_AT_MS);
    let request = dialect.sample_request(&stored, &key, BATCH_KEY).map_err(|misfit| {
        Failure::failed(format!("the event cannot be sent in this dialect: {}", misfit.message))
    })?;
    let lookup = dialect.lookup_request(&key, &scope);
    let read = answer(args, (&dialect, &key))?;
    if json {
        return out.json(&CheckShape::new(&dialect, (&request, lookup.as_ref()), read.as_ref()));
    }
    let many = match dialect.items_max() {
        1 => "one event a request".to_owned(),
        count => format!("up to {count} events a request"),
    };
    let horizon = match dialect.horizon_ms() {
        Some(ms) => format!("keys are remembered for {}", span(ms)),
        None => "nobody knows how long keys are remembered".to_owned(),
    };
    out.line(&format!("# dialect {}: {many}, {horizon}", dialect.name()))?;
    show(&request, out)?;
    if let Some(lookup) = lookup {
        out.line("# a lookup")?;
        show(&lookup, out)?;
    }
    let Some(read) = read else { return Ok(()) };
    let taken = if args.status.is_none() { ", the first of the file's `statuses`," } else { "" };
    out.line(&format!("# status {}{taken} is read as", read.status))?;
    read.lines().iter().try_for_each(|line| out.line(line))
}

/// How an answer is read, if there is one to read. Without a status it has the first that confirms.
fn answer(
    args: &DialectCheckArgs,
    (dialect, key): (&HttpDialect, &str),
) -> Result<Option<Read>, Failure> {
    if args.status.is_none() && args.reply.is_none() {
        return Ok(None);
    }
    let listed = if args.lookup { dialect.lookup_statuses() } else { dialect.statuses() };
    let Some(status) = args.status.or_else(|| listed.first().copied()) else {
        return Err(Failure::usage("--lookup: the file has no [lookup]"));
    };
    let body = args.reply.as_ref().map(|file| read("--reply", file)).transpose()?;
    let response = Response::new(status, body.unwrap_or_default());
    let response = args
        .headers
        .iter()
        .fold(response, |response, (name, value)| response.with_header(name, value));
    Ok(Some(match args.lookup {
        true => Read::of_lookup(status, key, dialect.read_lookup(key, &response)),
        false => Read::of_request(status, key, dialect.read_reply(key, &response)),
    }))
}

/// A length of time in the largest unit that it is a whole number of, and in seconds: `30 days (2592000 s)`.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let units = [(86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")];
    match units.iter().find(|(unit, ..)| seconds > 0 && seconds.is_multiple_of(*unit)) {
        Some((unit, one, several)) => {
            format!("{} ({seconds} s)", counted(seconds / unit, one, several))
        }
        None => format!("{seconds} s"),
    }
}

/// Shows a request as HTTP.
fn show(request: &Request, out: &mut Output) -> Result<(), Failure> {
    out.line(&format!("{} {} HTTP/1.1", request.method.as_str(), request.path))?;
    match &request.key {
        KeyPlace::Bearer => out.line("Authorization: Bearer [the terminal's key]")?,
        KeyPlace::Header(name) => out.line(&format!("{name}: [the terminal's key]"))?,
        _ => {}
    }
    for (name, value) in &request.headers {
        out.line(&format!("{name}: {value}"))?;
    }
    out.line("")?;
    if !request.body.is_empty() {
        out.paragraph(&String::from_utf8_lossy(&request.body))?;
        out.line("")?;
    }
    Ok(())
}

/// The event in a text.
fn sample(text: &[u8], file: &Path) -> Result<Event, Failure> {
    capture::event(text.trim_ascii())
        .map_err(|why| Failure::usage(format!("{}: {why}", file.display())))
}

/// The bytes of a file that an argument names.
fn read(argument: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = outside::read(file, FILE_BYTES_MAX).map_err(|error| {
        Failure::failed(format!("{argument}: cannot read {}: {error}", file.display()))
    })?;
    Ok(bytes.to_vec())
}

/// Largest file of an event or an answer.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What stands for the batch's key and the device.
const BATCH_KEY: &str = "sample-batch-1";
const DEVICE_ID: &str = "sample-device";

/// When the sample was captured, unless it says so: noon of 2026-01-01.
const CAPTURED_AT_MS: i64 = 1_767_268_800_000;

/// The event that is sent unless one is given.
const SAMPLE: &str = r#"{"key":"sample-1","kind":"sale","amount":"24.50","headers":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"payload":{"total":24.50,"currency":"eur"}}"#;

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_length_of_time_is_in_units_that_people_use() {
        for (seconds, shown) in [
            (2_592_000, "30 days (2592000 s)"),
            (86_400, "1 day (86400 s)"),
            (129_600, "36 hours (129600 s)"),
            (60, "1 minute (60 s)"),
            (90, "90 s"),
            (0, "0 s"),
        ] {
            assert_eq!(span(seconds * 1_000), shown);
        }
    }
}
