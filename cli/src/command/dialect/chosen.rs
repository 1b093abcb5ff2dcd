//! The dialect that was asked for by name.

use std::path::Path;

use onceward::Config;
use onceward::sync::KeyRule;
use onceward_uplink::{
    Deliveries, Dialect, ErrorKind, Forloy, HttpDialect, Onceward, Transyt, Wede, sendable,
};

use crate::{args::DialectName, exit::Failure};

/// A dialect, before the device has its name.
#[derive(Debug)]
pub(in crate::command) enum Chosen {
    /// Forloy.
    Forloy,
    /// Wede.
    Wede,
    /// The segment stream.
    Onceward(Onceward),
    /// What a file describes.
    Http(Box<HttpDialect>),
    /// Acks of events.
    Transyt,
    /// Acks of events and of deliveries of windows.
    Deliveries,
}

impl Chosen {
    /// The dialect of that name.
    ///
    /// # Errors
    ///
    /// Its file describes none, or cannot be read.
    pub(in crate::command) fn named(name: &DialectName) -> Result<Self, Failure> {
        match name {
            DialectName::Forloy => Ok(Self::Forloy),
            DialectName::Wede => Ok(Self::Wede),
            DialectName::Onceward => Ok(Self::Onceward(Onceward::new())),
            DialectName::Transyt => Ok(Self::Transyt),
            DialectName::Deliveries => Ok(Self::Deliveries),
            DialectName::Http(file) => load(file).map(|dialect| Self::Http(Box::new(dialect))),
            #[cfg(feature = "nats")]
            DialectName::Nats => Err(Failure::usage("--dialect: nats has no requests")),
        }
    }

    /// The same where a person accepted that the upstream's history is another one than the store's.
    pub(in crate::command) fn accepting_fork(self) -> Self {
        match self {
            Self::Onceward(dialect) => Self::Onceward(dialect.accepting_fork()),
            other => other,
        }
    }

    /// The dialect of the device of that name.
    pub(in crate::command) fn of(self, device_id: String) -> Box<dyn Dialect> {
        match self {
            Self::Forloy => Box::new(Forloy::new()),
            Self::Wede => Box::new(Wede::new(device_id)),
            Self::Onceward(dialect) => Box::new(dialect),
            Self::Http(dialect) => Box::new(dialect.with_device_id(device_id)),
            Self::Transyt => Box::new(Transyt::new()),
            Self::Deliveries => Box::new(Deliveries::new(device_id)),
        }
    }

    /// The configuration of a store that refuses what the dialect can never send.
    pub(in crate::command) fn refusing(self, config: Config, rule: KeyRule) -> Config {
        // Which device it is makes no difference to an event.
        match self {
            Self::Forloy => config.with_sendable(sendable(Forloy::new(), rule)),
            Self::Wede => config.with_sendable(sendable(Wede::new("any"), rule)),
            Self::Onceward(dialect) => config.with_sendable(sendable(dialect, rule)),
            // Nothing that is captured goes by them.
            Self::Transyt | Self::Deliveries => config,
            Self::Http(dialect) => {
                config.with_sendable(sendable(dialect.with_device_id("any"), rule))
            }
        }
    }
}

/// The dialect of a file.
///
/// # Errors
///
/// The file describes none, or cannot be read.
pub(super) fn load(file: &Path) -> Result<HttpDialect, Failure> {
    HttpDialect::from_file(file).map_err(|error| match error.kind() {
        ErrorKind::Invalid => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    })
}
