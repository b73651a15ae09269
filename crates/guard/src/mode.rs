//! How far a guard may go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far a guard may go; set globally, per API or per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The guard does not run.
    Off,
    /// The guard runs and its verdict is recorded; the call goes on.
    Observe,
    /// The guard runs and its verdict holds.
    #[default]
    Enforce,
}

// === impl Mode ===

impl Mode {
    /// The spelling used in `haechi.yaml` and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "observe" => Ok(Self::Observe),
            "enforce" => Ok(Self::Enforce),
            _ => Err(ParseModeError(())),
        }
    }
}

/// The text is none of `off`, `observe`, `enforce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseModeError(());

impl fmt::Display for ParseModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected `off`, `observe` or `enforce`")
    }
}

impl std::error::Error for ParseModeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_reads_back_as_written() {
        for mode in [Mode::Off, Mode::Observe, Mode::Enforce] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("Enforce".parse::<Mode>().is_err());
    }
}
