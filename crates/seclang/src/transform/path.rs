//! Paths without `.`, `..` and doubled slashes.

/// With `windows` a backslash is a slash.
pub(super) fn normalize(input: &[u8], out: &mut Vec<u8>, windows: bool) {
    let begin = out.len();
    let is_slash = |byte: u8| byte == b'/' || (windows && byte == b'\\');
    let Some(first) = input.first() else { return };
    let absolute = is_slash(*first);
    if absolute {
        out.push(b'/');
    }
    let root = out.len();
    // Segments that `..` may not take away: those of a relative path's own leading `..`.
    let mut fixed = root;
    let mut ends_open = false;
    for segment in input.split(|byte| is_slash(*byte)) {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." if out.len() > fixed => {
                let kept = out.get(fixed..).unwrap_or_default();
                let cut = kept.iter().rposition(|byte| *byte == b'/').map_or(fixed, |slash| fixed + slash);
                out.truncate(cut);
            }
            b".." if absolute => {}
            _ => {
                if out.len() > root {
                    out.push(b'/');
                }
                out.extend_from_slice(segment);
                if segment == b".." {
                    fixed = out.len();
                }
            }
        }
    }
    // A path that ended with a slash, or in a directory, still does.
    if ends_open && out.len() > root && input.last().is_some_and(|last| is_slash(*last)) && out.len() > begin
    {
        out.push(b'/');
    }
}
