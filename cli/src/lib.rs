//! The program `onceward` as a library, so that tests can use its parts.
//!
//! | module      | job                                                                   |
//! |-------------|-----------------------------------------------------------------------|
//! | [`args`]    | what can be asked                                                     |
//! | [`command`] | one file for each command                                             |
//! | [`demo`]    | the product's proof: children of this program, killed and compared    |
//! | [`output`]  | stdout and stderr, whoever reads them, and nothing as it came         |
//! | `outside`   | files that the caller names, which may have no end                    |
//! | `panics`    | panics, without a backtrace                                           |
//! | [`prompt`]  | secrets from a person, without showing them                           |
//! | [`exit`]    | the exit codes and the failure that leads to each                     |

#![forbid(unsafe_code)]

pub mod args;
pub mod command;
pub mod demo;
pub mod exit;
pub mod output;
mod outside;
mod panics;
pub mod prompt;

use std::{ffi::OsString, panic::AssertUnwindSafe, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use crate::{
    args::{Cli, Command},
    exit::{Exit, Failure, Outcome},
    output::{Output, Style},
};

/// Runs the program with these arguments, the first being its name.
///
/// The exit code reports whatever happens, and so does a line on stderr when that is not 0.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    panics::tame();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        command::stop::handle()?;
        match Cli::try_parse_from(arguments) {
            Ok(cli) => dispatch(cli),
            Err(error) => explain(&error),
        }
    }));
    match outcome {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            failure.report();
            failure.exit().into()
        }
        // The panic was reported when it happened.
        Err(_panic) => Exit::Failed.into(),
    }
}

/// Runs the command.
fn dispatch(cli: Cli) -> Outcome {
    let style = Style::choose(cli.json);
    match cli.command {
        Command::Demo(args) => demo::run(&args, cli.json),
        Command::Capture(args) => command::capture::run(&args),
        Command::Dump(args) => forgive(command::dump::run(&args)),
        Command::Status(args) => forgive(command::status::run(&args, style)),
        Command::Verify(args) => command::verify::run(&args, cli.json),
        Command::Repair(args) => command::repair::run(&args, cli.json),
        Command::Tail(args) => forgive(command::tail::run(&args)),
        Command::Sync(args) => command::sync::run(&args, style),
        Command::Review(review) => command::review::run(&review, style),
        Command::Summary(args) => command::summary::run(&args, style),
        Command::Export(args) => command::rescue::export(&args, style),
        Command::Import(args) => command::rescue::import(&args, style),
        Command::Unfence(args) => command::rescue::unfence(&args),
        Command::Dialect(dialect) => forgive(command::dialect::run(&dialect, cli.json)),
        Command::Serve(args) => command::serve::run(args, cli.json),
        Command::FaultProxy(args) if args.list => forgive(command::fault_proxy::list(cli.json)),
        Command::FaultProxy(args) => command::fault_proxy::run(&args, cli.json),
    }
}

/// A reader that has had enough of data that changes nothing is no failure: `dump | head` is a fair question.
fn forgive(outcome: Outcome) -> Outcome {
    match outcome {
        Err(failure) if failure.reader_left() => Ok(Exit::Ok),
        other => other,
    }
}

/// Answers `--help` and `--version` on stdout, and wrong arguments on stderr.
fn explain(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let mut out = Output::stdout();
            let text = error.render().to_string();
            let shown = out.paragraph(text.trim_end()).and_then(|()| out.flush());
            forgive(shown.map(|()| Exit::Ok))
        }
        _ => {
            let text = error.render().to_string();
            let text = text.trim_end();
            let text = text.strip_prefix("error: ").unwrap_or(text);
            Err(Failure::at_length(Exit::Usage, text))
        }
    }
}
