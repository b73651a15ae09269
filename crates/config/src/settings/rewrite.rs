//! What is changed of a call after it was judged: the settings that APIs, services and operations share.

use super::{Form, Section, setting};

pub(crate) static REWRITE: Section = Section {
    settings: &[
        setting(
            "strip_prefix",
            Form::Path,
            "",
            "Segments that are taken from the beginning of the path, where they stand there.",
        ),
        setting(
            "path",
            Form::List(&Form::Section(&REWRITE_PATH)),
            "",
            "What makes another path of what is left: the first whose pattern fits.",
        ),
        setting("add_prefix", Form::Path, "", "Segments that are put before the path."),
        setting(
            "host",
            Form::Text,
            "",
            "The `Host` that the upstream is told: `keep` for the one that the caller asked for, or a name; the upstream's own if not set.",
        ),
        setting("request_headers", Form::Section(&REWRITE_HEADERS), "", "Header fields of the request."),
        setting(
            "response_headers",
            Form::Section(&REWRITE_HEADERS),
            "",
            "Header fields of the upstream's response.",
        ),
    ],
};

pub(crate) static REWRITE_PATH: Section = Section {
    settings: &[
        setting(
            "pattern",
            Form::Text,
            "",
            "A regular expression that the whole path has to fit, as in `/shop/(?<item>[0-9]+)`. Required.",
        ),
        setting(
            "to",
            Form::Text,
            "",
            "The path instead, as in `/items/{item}`: groups by name or number. Required.",
        ),
    ],
};

pub(crate) static REWRITE_HEADERS: Section = Section {
    settings: &[
        setting(
            "set",
            Form::Names(&Form::Text),
            "",
            "Fields and their values, instead of whatever stood there; with placeholders, as in `{client}`.",
        ),
        setting("add", Form::Names(&Form::Text), "", "The same, beside what stood there."),
        setting("remove", Form::List(&Form::Text), "", "Fields that are left out."),
    ],
};
