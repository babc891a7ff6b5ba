//! What is wrong with a configuration, all of it at once, and where.
//!
//! No variant holds the value of a key that may be secret: librdkafka properties are named, never
//! quoted, and the parser's own messages are taken without the source line that they point at.

use std::fmt;
use std::sync::Arc;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the file, both numbers counted from 1.
    Line {
        /// The file as it was named.
        file: Arc<str>,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// The file as a whole: for what is missing.
    File(Arc<str>),
    /// An environment variable.
    Variable(String),
    /// A credential that counts as a variable.
    Credential(String),
    /// The environment as a whole: for what is missing where no file was given.
    Environment,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: the configuration file cannot be read: {reason}")]
    Unreadable {
        /// The file as it was named.
        file: Arc<str>,
        /// What the system said.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place}: this is not TOML: {reason}")]
    NotToml {
        /// Where the parser stopped.
        place: Place,
        /// What it said.
        reason: String,
    },
    /// Nothing has this name.
    #[error("{place}: {key}: unknown; {hint}")]
    Unknown {
        /// Where it stands.
        place: Place,
        /// The key as written.
        key: String,
        /// What was perhaps meant, or what there is.
        hint: String,
    },
    /// A key that has no default was not set.
    #[error("{place}: {key}: missing; {hint}")]
    Missing {
        /// The section, else the file.
        place: Place,
        /// The key.
        key: String,
        /// How to set it.
        hint: String,
    },
    /// A value that is not allowed, alone or beside another one.
    #[error("{place}: {key}: {message}")]
    Value {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// What is wrong and what is allowed.
        message: String,
    },
}

impl ConfigError {
    /// Where it is, for the order of the report: the file from top to bottom, then the rest.
    fn place(&self) -> Place {
        match self {
            Self::Unreadable { file, .. } => Place::File(Arc::clone(file)),
            Self::NotToml { place, .. }
            | Self::Unknown { place, .. }
            | Self::Missing { place, .. }
            | Self::Value { place, .. } => place.clone(),
        }
    }
}

/// Everything that is wrong, in the order of the file, then of the environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, at least one.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(ConfigError::place);
        // A topic inherits the general values, and with them what is wrong with them.
        let mut once: Vec<ConfigError> = Vec::with_capacity(errors.len());
        for error in errors {
            if !once.contains(&error) {
                once.push(error);
            }
        }
        Self(once)
    }
}

fn listed(errors: &[ConfigError]) -> String {
    let head = match errors.len() {
        1 => "the configuration has an error:".to_owned(),
        many => format!("the configuration has {many} errors:"),
    };
    errors.iter().fold(head, |text, error| format!("{text}\n  {error}"))
}
