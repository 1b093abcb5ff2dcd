//! The arguments for a stream of NATS JetStream.

use std::path::PathBuf;

use clap::Args;

/// The stream that takes the events, with `--dialect nats`.
#[derive(Args, Debug)]
pub struct NatsArgs {
    /// With --dialect nats: the stream that takes the events. How long it knows a message again is its duplicate
    /// window: two minutes, unless it was made with more
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// With --dialect nats: the subjects, with {scope} and {kind} for those of an event; onceward.{scope} unless given
    #[arg(long, value_name = "TEMPLATE")]
    pub subject: Option<String>,
    /// With --dialect nats: file with the credentials, read for each connection. Without it a key is sent as a token
    #[arg(long, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// With --dialect nats: make the stream if there is none, with one replica and a duplicate window of 24 hours
    #[arg(long)]
    pub create_stream: bool,
}

impl NatsArgs {
    /// Refuses those that were given, where they mean nothing.
    ///
    /// # Errors
    ///
    /// The first that was given, in words.
    pub fn refuse_any(&self) -> Result<(), String> {
        let given = [
            (self.stream.is_some(), "--stream"),
            (self.subject.is_some(), "--subject"),
            (self.creds.is_some(), "--creds"),
            (self.create_stream, "--create-stream"),
        ];
        match given.iter().find(|(is_given, _)| *is_given) {
            Some((_, name)) => Err(format!("{name}: means something with --dialect nats only")),
            None => Ok(()),
        }
    }
}
