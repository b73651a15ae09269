//! What is changed of a call after it was judged: the settings that APIs and services share.

use super::{Form, Section, setting};

pub(crate) static REWRITE: Section = Section {
    settings: &[
        setting(
            "strip_prefix",
            Form::Path,
            "",
            "Segments that are taken from the beginning of the path, where they stand there.",
        ),
        setting("add_prefix", Form::Path, "", "Segments that are put before the path."),
        setting("request_headers", Form::Section(&REWRITE_HEADERS), "", "Header fields of the request."),
        setting(
            "response_headers",
            Form::Section(&REWRITE_HEADERS),
            "",
            "Header fields of the upstream's response.",
        ),
    ],
};

pub(crate) static REWRITE_HEADERS: Section = Section {
    settings: &[
        setting(
            "set",
            Form::Names(&Form::Text),
            "",
            "Fields and their values, instead of whatever stood there.",
        ),
        setting("remove", Form::List(&Form::Text), "", "Fields that are left out."),
    ],
};
