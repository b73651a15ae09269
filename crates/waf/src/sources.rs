//! Which files a policy names, in the order in which they are read.

use std::io;
use std::path::{Path, PathBuf};

use haechi_seclang::Loader;

/// How the files that set up a rule set are called: what a policy says stands after them, so that it holds.
const SETUP: &str = "crs-setup";

/// The files of one path: itself, those that it matches, or those of a folder. Empty if there are none.
pub(crate) fn files(path: &Path, loader: &dyn Loader) -> io::Result<Vec<PathBuf>> {
    let is_pattern = path.to_string_lossy().contains(['*', '?']);
    if is_pattern {
        return loader.expand(path);
    }
    let below = |pattern: &str| loader.expand(&path.join(pattern));
    let rules = below("rules/*.conf")?;
    if rules.is_empty() {
        let own = below("*.conf")?;
        return Ok(if own.is_empty() { vec![path.to_owned()] } else { own });
    }
    // A release of the Core Rule Set. Plugins lie around its rules, as its documentation says.
    let mut all = below("plugins/*-config.conf")?;
    let setup = below(&format!("{SETUP}.conf*"))?;
    let named = |end: &str| setup.iter().find(|file| file.to_string_lossy().ends_with(end)).cloned();
    all.extend(named("setup.conf").or_else(|| named(".example")));
    all.extend(below("plugins/*-before.conf")?);
    all.extend(rules);
    all.extend(below("plugins/*-after.conf")?);
    Ok(all)
}

/// Whether a file sets up a rule set.
pub(crate) fn is_setup(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SETUP))
}

#[cfg(test)]
mod tests {
    use haechi_seclang::InMemory;

    use super::*;

    fn names(path: &str, files: &[&str]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|name| (*name, "")).collect();
        let found = super::files(Path::new(path), &InMemory::of(&files)).expect("listed");
        found.iter().map(|file| file.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_folder_of_the_core_rule_set_is_read_in_its_own_order() {
        let all = [
            "crs/crs-setup.conf.example",
            "crs/rules/REQUEST-901.conf",
            "crs/rules/RESPONSE-999.conf",
            "crs/rules/lfi.data",
            "crs/plugins/a-before.conf",
            "crs/plugins/a-after.conf",
            "crs/plugins/a-config.conf",
        ];
        let read = [
            "crs/plugins/a-config.conf",
            "crs/crs-setup.conf.example",
            "crs/plugins/a-before.conf",
            "crs/rules/REQUEST-901.conf",
            "crs/rules/RESPONSE-999.conf",
            "crs/plugins/a-after.conf",
        ];
        assert_eq!(names("crs", &all), read);
        let own = [&all[..], &["crs/crs-setup.conf"]].concat();
        assert_eq!(
            names("crs", &own)[1],
            "crs/crs-setup.conf",
            "the operator's own comes before the example"
        );
    }

    #[test]
    fn files_patterns_and_plain_folders_are_what_they_name() {
        assert_eq!(names("a.conf", &["a.conf"]), ["a.conf"]);
        assert_eq!(names("r/*.conf", &["r/b.conf", "r/a.conf", "r/c.data"]), ["r/a.conf", "r/b.conf"]);
        assert_eq!(names("r", &["r/b.conf", "r/a.conf", "r/c.data"]), ["r/a.conf", "r/b.conf"]);
        assert!(names("r/*.conf", &[]).is_empty());
    }
}
