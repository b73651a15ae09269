//! Injected scripts: a proof, where there is one, that a value holds none.

/// Names of attributes whose values libinjection judges, but for those of events, which begin with `on`; the first five letters of `xmlns` and `xlink` are enough.
const ATTRIBUTES: &[&[u8]] = &[
    b"action",
    b"attributename",
    b"background",
    b"by",
    b"dataformatas",
    b"datasrc",
    b"dynsrc",
    b"filter",
    b"folder",
    b"formaction",
    b"from",
    b"handler",
    b"href",
    b"lowsrc",
    b"on",
    b"poster",
    b"src",
    b"style",
    b"to",
    b"values",
    b"xlink",
    b"xmlns",
];

/// Whether the value may hold a script. What is found is either a tag, a comment or a declaration, all of which begin with `<`; or an attribute that is judged, with
/// its value, in a tag that was opened before the value.
pub(super) fn may_be_one(value: &[u8]) -> bool {
    if memchr::memchr(b'<', value).is_some() {
        return true;
    }
    if memchr::memchr(b'=', value).is_none() {
        return false;
    }
    // Noughts inside names are passed over by browsers, so that a name may be spelled with them.
    memchr::memchr(0, value).is_some()
        || ATTRIBUTES.iter().any(|name| value.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name)))
}
