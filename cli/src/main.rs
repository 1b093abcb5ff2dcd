//! The program `onceward`: a thin start over the library.

#![forbid(unsafe_code)]

use std::{env, process::ExitCode};

/// Runs the command that the arguments name and ends with its documented exit code.
fn main() -> ExitCode {
    onceward_cli::run(env::args_os())
}
