//! Archives (tar, gzip), unpacked so that nothing leaves the folder and nothing fills the disk.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

/// The most entries of an archive. A release of the Core Rule Set has some 100, with its tests 700.
const ENTRIES: usize = 5_000;
/// The largest file, in bytes: as much as is read of a rule file.
const FILE: u64 = 16 << 20;
/// The most that all files may have, in bytes: a small archive can hold very much of the same.
const ALL: u64 = 256 << 20;

/// Unpacks an archive, without its outermost folder, into a folder that is not there yet; how many files there are. The folder is there whole or not at all.
pub(super) fn unpack(archive: &[u8], into: &Path) -> Result<usize, String> {
    let parent = into.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = into.file_name().ok_or_else(|| format!("`{}` names no folder", into.display()))?;
    let partial = parent.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    std::fs::create_dir(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
    let outcome = fill(archive, &partial).and_then(|files| {
        std::fs::rename(&partial, into).map_err(|error| format!("{}: {error}", into.display()))?;
        Ok(files)
    });
    if outcome.is_err() {
        let _ = std::fs::remove_dir_all(&partial);
    }
    outcome
}

fn fill(archive: &[u8], into: &Path) -> Result<usize, String> {
    let broken = |error: std::io::Error| format!("the archive is broken: {error}");
    // Names and padding count as well: an archive of nothing but headers ends here too.
    let mut archive = Archive::new(GzDecoder::new(archive).take(ALL));
    let (mut files, mut all) = (0, 0u64);
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if count >= ENTRIES {
            return Err(format!("the archive has more than {ENTRIES} entries"));
        }
        let path = entry.path().map_err(broken)?.into_owned();
        let shown = path.display().to_string();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory => {}
            // What `git archive` says of the commit.
            EntryType::XGlobalHeader => continue,
            _ => return Err(format!("`{shown}` in the archive is neither a file nor a folder")),
        }
        let Some(inside) =
            inside(&path).ok_or_else(|| format!("`{shown}` in the archive leaves the folder"))?
        else {
            continue;
        };
        let place = into.join(inside);
        if entry.header().entry_type() == EntryType::Directory {
            std::fs::create_dir_all(&place).map_err(|error| format!("{shown}: {error}"))?;
            continue;
        }
        let mut content = Vec::new();
        entry.by_ref().take(FILE + 1).read_to_end(&mut content).map_err(broken)?;
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        all = all.saturating_add(length);
        if length > FILE || all > ALL {
            return Err(format!("`{shown}` in the archive is larger than is taken"));
        }
        let folder = place.parent().unwrap_or(into);
        std::fs::create_dir_all(folder).map_err(|error| format!("{shown}: {error}"))?;
        // Never through something that an entry before it made.
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&place);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, &content))
            .map_err(|error| format!("{shown}: {error}"))?;
        files += 1;
    }
    if files == 0 { Err("the archive holds no files".to_owned()) } else { Ok(files) }
}

/// A path without its first folder; `Some(None)` for that folder itself. `None` if it could lead anywhere else.
fn inside(path: &Path) -> Option<Option<PathBuf>> {
    let mut inside = PathBuf::new();
    for (at, component) in path.components().filter(|one| *one != Component::CurDir).enumerate() {
        let Component::Normal(name) = component else { return None };
        if at > 0 {
            inside.push(name);
        }
    }
    Some((!inside.as_os_str().is_empty()).then_some(inside))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive with entries as they are given: the library that reads it would not write such names.
    fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc").unwrap();
            }
            header.set_cksum();
            out.write_all(header.as_bytes()).unwrap();
            out.write_all(content).unwrap();
            out.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
        }
        out.write_all(&[0; 1024]).unwrap();
        out.finish().unwrap()
    }

    fn unpacked(entries: &[(&str, EntryType, &[u8])]) -> (tempfile::TempDir, Result<usize, String>) {
        let dir = tempfile::tempdir().unwrap();
        let outcome = unpack(&archive(entries), &dir.path().join("crs"));
        (dir, outcome)
    }

    const FILES: EntryType = EntryType::Regular;

    #[test]
    fn files_are_where_they_belong() {
        let (dir, outcome) = unpacked(&[
            ("top/", EntryType::Directory, b""),
            ("top/crs-setup.conf.example", FILES, b"# setup"),
            ("top/rules/a.conf", FILES, b"# a"),
        ]);
        assert_eq!(outcome, Ok(2));
        assert_eq!(std::fs::read(dir.path().join("crs/rules/a.conf")).unwrap(), b"# a");
    }

    #[test]
    fn nothing_leaves_the_folder() {
        for name in ["top/../../evil", "../evil", "/evil", "top/rules/../../../evil"] {
            let (dir, outcome) = unpacked(&[("top/a", FILES, b"a"), (name, FILES, b"evil")]);
            assert!(outcome.is_err_and(|why| why.contains("leaves the folder")), "{name}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{name} left something");
        }
        let (dir, outcome) =
            unpacked(&[("top/link", EntryType::Symlink, b""), ("top/link/passwd", FILES, b"evil")]);
        assert!(outcome.is_err_and(|why| why.contains("neither a file nor a folder")));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let (_dir, outcome) = unpacked(&[("top/a", FILES, b"a"), ("top/a", FILES, b"b")]);
        assert!(outcome.is_err(), "a file is written twice");
    }

    #[test]
    fn what_is_too_large_or_too_many_is_refused() {
        let exactly = vec![0; usize::try_from(FILE).unwrap()];
        assert_eq!(unpacked(&[("top/a", FILES, &exactly)]).1, Ok(1));
        let over = [exactly.as_slice(), b"x"].concat();
        assert!(unpacked(&[("top/a", FILES, &over)]).1.is_err_and(|why| why.contains("larger")));
        let folders = |count| vec![("top/a/", EntryType::Directory, b"".as_slice()); count];
        let with_file = |count| [folders(count), vec![("top/f", FILES, b"f".as_slice())]].concat();
        assert_eq!(unpacked(&with_file(ENTRIES - 1)).1, Ok(1));
        assert!(unpacked(&with_file(ENTRIES)).1.is_err_and(|why| why.contains("entries")));
        assert!(unpack(b"no archive", Path::new("nowhere-at-all")).is_err());
        assert!(!Path::new("nowhere-at-all").exists());
    }
}
