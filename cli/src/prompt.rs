//! Takes a secret from a person at the terminal without showing it, or from whatever is piped in.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    process,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{
    command::stop::Stop,
    exit::{Exit, Failure},
    output::complain,
};

/// Standard input as a place to ask at. A signal that comes during a question puts the terminal back in
/// order and ends the program; one that comes later is only noted.
#[derive(Debug)]
pub struct Prompt {
    /// The terminal as it was, while it is not in that state.
    hidden: Arc<Mutex<Option<Termios>>>,
    /// Whether a signal came.
    stop: Stop,
}

impl Prompt {
    /// Starts listening for signals.
    ///
    /// # Errors
    ///
    /// The handlers cannot be set up.
    pub fn new() -> Result<Self, Failure> {
        let hidden = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&hidden);
        let stop = Stop::listen(move || {
            if show_again(&theirs) {
                complain("stopped by a signal");
                process::exit(i32::from(Exit::Failed as u8));
            }
        })?;
        Ok(Self { hidden, stop })
    }

    /// The handle that shows whether a signal came.
    #[must_use]
    pub fn into_stop(self) -> Stop {
        self.stop
    }

    /// Asks, and returns one line without its end. Where no person sits there nothing is asked, and the
    /// next line of standard input is taken.
    ///
    /// # Errors
    ///
    /// Standard input cannot be read, or has no line.
    pub fn secret(&self, question: &str) -> Result<Zeroizing<String>, Failure> {
        let is_terminal = io::stdin().is_terminal();
        if is_terminal {
            self.hide()?;
            let mut err = io::stderr().lock();
            if write!(err, "{question}: ").and_then(|()| err.flush()).is_err() {
                // Whoever closed stderr knows what is asked.
            }
        }
        let line = read_line(&mut io::stdin().lock());
        if is_terminal && !show_again(&self.hidden) {
            // A signal was faster, and ends the program.
            return Err(Failure::failed("stopped by a signal"));
        }
        let line = line.map_err(|error| {
            Failure::failed(format!("cannot read the secret from standard input: {error}"))
        })?;
        if line.is_empty() {
            return Err(Failure::usage("no secret was given on standard input"));
        }
        Ok(line)
    }

    /// Stops showing what is typed.
    fn hide(&self) -> Result<(), Failure> {
        let refused = |error: rustix::io::Errno| {
            Failure::failed(format!("cannot hide what is typed at the terminal: {error}"))
        };
        let before = tcgetattr(io::stdin()).map_err(refused)?;
        let mut hiding = before.clone();
        hiding.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that what comes next has one of its own.
        hiding.local_modes.insert(LocalModes::ECHONL);
        *self.hidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hiding).map_err(|error| {
            show_again(&self.hidden);
            refused(error)
        })
    }
}

/// Puts the terminal back in order; `false` if it was.
fn show_again(hidden: &Mutex<Option<Termios>>) -> bool {
    let before = hidden.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = &before
        && tcsetattr(io::stdin(), OptionalActions::Flush, before).is_err()
    {
        // The terminal is gone.
    }
    before.is_some()
}

/// One line of at most [`SECRET_BYTES_MAX`] bytes, without its end.
pub(crate) fn read_line(input: &mut dyn BufRead) -> io::Result<Zeroizing<String>> {
    // Room for all of it at once: a text that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX + 1));
    let most = u64::try_from(SECRET_BYTES_MAX + 1).unwrap_or(u64::MAX);
    input.take(most).read_line(&mut line)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let length = text.strip_suffix('\r').unwrap_or(text).len();
    if length >= SECRET_BYTES_MAX {
        let message = format!("the line has over {SECRET_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    line.truncate(length);
    Ok(line)
}

/// Longest secret, bytes, its line end included.
const SECRET_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_without_its_end_and_as_it_is_otherwise() {
        for (input, expected) in
            [("a b \n", "a b "), ("a\r\nb\n", "a"), ("a", "a"), ("\n", ""), ("", "")]
        {
            assert_eq!(read_line(&mut input.as_bytes()).unwrap().as_str(), expected, "{input:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_read_on() {
        let endless = vec![b'x'; 1 << 20];
        let mut input = endless.as_slice();
        assert_eq!(read_line(&mut input).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(endless.len() - input.len(), SECRET_BYTES_MAX + 1);
    }
}
