//! How far a change goes.

use std::fmt;
use std::str::FromStr;

use haechi_config::model::Deal;
use haechi_edge::{Dealing, Target};

/// How far a change goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Listeners for staging.
    Staging,
    /// A share of production, 0 to 1.
    Canary(f64),
    /// Everything.
    Production,
}

// === impl Step ===

impl Step {
    pub(crate) fn target(self, deal: Deal) -> Target {
        let dealing = match deal {
            Deal::Request => Dealing::ByRequest,
            Deal::Address => Dealing::ByAddress,
        };
        match self {
            Self::Staging => Target::Staging,
            Self::Canary(share) => Target::Canary { share, dealing },
            Self::Production => Target::Production,
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no stage: expected `staging`, `canary=5%` or `production`");
        match text {
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => {
                let share = text.strip_prefix("canary=").ok_or_else(wrong)?;
                let share = haechi_config::value::percent(share).map_err(|_| wrong())?;
                if (0.0001..=0.99).contains(&share) {
                    Ok(Self::Canary(share))
                } else {
                    Err(format!("`{text}`: a canary takes 0.01% to 99%; `production` takes everything"))
                }
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staging => f.write_str("staging"),
            // Rounded, for 0.07 × 100 is not 7 in binary.
            Self::Canary(share) => write!(f, "canary={}%", (share * 1e6).round() / 1e4),
            Self::Production => f.write_str("production"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_reads_back_as_written() {
        for text in ["staging", "production", "canary=5%", "canary=0.5%", "canary=7%", "canary=99%"] {
            assert_eq!(text.parse::<Step>().expect(text).to_string(), text);
        }
        for text in ["", "canary", "canary=5", "canary=0%", "canary=100%", "canary=-1%", "Staging", "prod"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
}
