//! `haechi waf fetch`: a release of a rule set, with its checksum verified, unpacked.

mod archive;
mod release;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use crate::output::{Failure, line};

/// Where the Core Rule Set is released: the interface that GitHub and its like have for releases.
const CRS: &str = "https://api.github.com/repos/coreruleset/coreruleset/releases/tags";

/// Download a release of the Core Rule Set, verify its checksum and unpack it.
///
/// The checksum is the one given, or else the one that the release itself tells over TLS; an archive without either is not unpacked. Nothing that is in
/// the archive leaves the folder, and links are refused.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// What to fetch: `crs@VERSION`
    #[arg(value_name = "crs@VERSION")]
    set: RuleSet,
    /// The folder to make; it must not be there yet
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// What the archive's SHA-256 has to be, in hexadecimal
    #[arg(long, value_name = "HEX")]
    sha256: Option<Digest>,
    /// Where releases are, if not on GitHub: a mirror with the same interface
    #[arg(long, default_value = CRS, value_name = "URL")]
    from: String,
}

/// A rule set in one version.
#[derive(Clone, Debug)]
struct RuleSet {
    version: String,
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest([u8; 32]);

// === impl Fetch ===

impl Fetch {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let version = &self.set.version;
        let into = self.into.unwrap_or_else(|| PathBuf::from(format!("crs-{version}")));
        if into.exists() {
            return Err(Failure::new(format!("`{}` is there already", into.display())));
        }
        eprintln!("fetching the Core Rule Set {version} …");
        let archive = release::fetch(&self.from, version, self.sha256).map_err(Failure::new)?;
        let found = Digest::of(&archive.bytes);
        if found != archive.digest {
            return Err(Failure::new(format!(
                "the archive's SHA-256 is {found}, and should be {}: it is not unpacked",
                archive.digest
            )));
        }
        let files = archive::unpack(&archive.bytes, &into).map_err(Failure::new)?;
        line(&format!("{files} files in {}, SHA-256 {found}", into.display()))?;
        line(&format!("use it with: --rules {}", into.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

// === impl RuleSet ===

impl FromStr for RuleSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let version = text.strip_prefix("crs@").map(|version| version.trim_start_matches('v'));
        let wanted = |version: &&str| {
            version.len() <= 32
                && version.starts_with(|c: char| c.is_ascii_digit())
                && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        };
        match version.filter(wanted) {
            Some(version) => Ok(Self { version: version.to_owned() }),
            None => Err("should be `crs@VERSION`, as in `crs@4.20.0`".to_owned()),
        }
    }
}

// === impl Digest ===

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        Self(digest.as_ref().try_into().unwrap_or_default())
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "should be 64 hexadecimal digits".to_owned();
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(at * 2..at * 2 + 2).filter(|digits| !digits.starts_with('+'));
            *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Self(digest))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_versions_and_digests_are_digests() {
        assert_eq!("crs@v4.20.0".parse::<RuleSet>().unwrap().version, "4.20.0");
        for text in ["crs", "crs@", "crs@../x", "crs@4/..", "modsec@1", "crs@4.0?x"] {
            assert!(text.parse::<RuleSet>().is_err(), "{text}");
        }
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").to_string(), empty);
        for text in ["", "e3", &empty.replace('e', "g"), &empty.replacen('e', "+", 1)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
