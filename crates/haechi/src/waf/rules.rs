//! Which rules a verb means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use haechi_seclang::{FileSystem, Rules, RulesBuilder};

use crate::output::Failure;

/// Ids of the rules that set what `--paranoia` says: of the built-in range.
const PARANOIA_IDS: std::ops::Range<u32> = 9_000_010..9_000_020;

/// Rules.
#[derive(Debug, Args)]
pub(crate) struct RuleOptions {
    /// Rule files in their order: paths, patterns with `*` and `?`, a folder of the Core Rule Set, or `builtin`. The built-in rules if none is given
    #[arg(long, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// How suspicious rules are that ask for it (the Core Rule Set's levels, 1 to 4)
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4), value_name = "N")]
    paranoia: Option<u8>,
}

// === impl RuleOptions ===

impl RuleOptions {
    /// Loads them, after `setup`. What has no effect is told on standard error.
    pub(crate) fn load(&self, setup: &str) -> Result<Arc<Rules>, Failure> {
        let mut ids = PARANOIA_IDS;
        let mut builder = Rules::builder(&FileSystem).text("haechi-setup.conf", setup);
        builder = self.level(builder, &mut ids);
        for path in self.named() {
            if path.as_os_str() == haechi_waf_rules::NAME {
                builder = haechi_waf_rules::add(builder);
                continue;
            }
            for file in files(&path) {
                // What such a file says of the level is not meant.
                let sets =
                    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("crs-setup.conf"));
                builder = builder.path(file);
                if sets {
                    builder = self.level(builder, &mut ids);
                }
            }
        }
        let rules = builder.build().map_err(|errors| Failure::new(errors.to_string()))?;
        for notice in rules.notices() {
            eprintln!("{}: {}", notice.place, notice.message);
        }
        Ok(rules)
    }

    fn named(&self) -> Vec<PathBuf> {
        if self.rules.is_empty() { vec![PathBuf::from(haechi_waf_rules::NAME)] } else { self.rules.clone() }
    }

    fn level<'a>(&self, builder: RulesBuilder<'a>, ids: &mut std::ops::Range<u32>) -> RulesBuilder<'a> {
        match (self.paranoia, ids.next()) {
            (Some(level), Some(id)) => {
                builder.text("haechi-paranoia.conf", haechi_waf_rules::paranoia(id, level))
            }
            _ => builder,
        }
    }
}

/// The files that a path means: of a folder its setup, else the example of one, and its rules.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let setup = ["crs-setup.conf", "crs-setup.conf.example"].map(|name| path.join(name));
    let mut files: Vec<_> = setup.into_iter().find(|file| file.is_file()).into_iter().collect();
    let rules = path.join("rules");
    if rules.is_dir() {
        files.push(rules.join("*.conf"));
    } else if files.is_empty() {
        files.push(path.join("*.conf"));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn read(dir: &Path) -> Vec<String> {
        let inside = |file: PathBuf| file.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
        files(dir).into_iter().map(inside).collect()
    }

    #[test]
    fn the_example_of_a_setup_is_read_only_where_there_is_no_other() {
        let dir = lay(&["crs-setup.conf.example", "rules/a.conf"]);
        assert_eq!(read(dir.path()), ["crs-setup.conf.example", "rules/*.conf"]);
        std::fs::write(dir.path().join("crs-setup.conf"), "").unwrap();
        assert_eq!(read(dir.path()), ["crs-setup.conf", "rules/*.conf"]);
    }

    #[test]
    fn a_folder_of_rules_alone_is_its_files() {
        assert_eq!(read(lay(&["a.conf"]).path()), ["*.conf"]);
    }

    #[test]
    fn the_level_of_the_command_line_stands_against_the_setup() {
        let dir = lay(&[]);
        let setup = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1\"\n";
        std::fs::write(dir.path().join("crs-setup.conf"), setup).unwrap();
        let options = RuleOptions { rules: vec![dir.path().to_owned()], paranoia: Some(3) };
        let mut transaction = options.load("").unwrap().begin(&haechi_seclang::Request::default());
        transaction.request_head();
        assert_eq!(transaction.tx().get(b"blocking_paranoia_level"), Some(b"3".as_slice()));
    }
}
