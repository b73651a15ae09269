//! What is changed of a call after it was judged, and of its response.

use std::collections::BTreeMap;

/// What is changed of a call after it was judged, and of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Segments that are taken from the beginning of the path, where they stand there.
    pub strip_prefix: Option<String>,
    /// Segments that are put before the path.
    pub add_prefix: Option<String>,
    /// Of the request.
    pub request_headers: HeaderChanges,
    /// Of the upstream's response.
    pub response_headers: HeaderChanges,
}

/// What is changed of headers. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// What stands there instead of whatever stood there.
    pub set: BTreeMap<String, String>,
    /// What is left out.
    pub remove: Vec<String>,
}
