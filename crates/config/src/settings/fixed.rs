//! What the gateway answers itself.

use super::{Form, Section, setting};

/// The statuses of redirects.
pub(crate) const REDIRECTS: [&str; 5] = ["301", "302", "303", "307", "308"];

pub(crate) static REDIRECT: Section = Section {
    settings: &[
        setting(
            "to",
            Form::Text,
            "",
            "A path, or a URL, as in `https://{host}{path}`: `{path}` is the call's path, `{rest}` what of it stands behind the prefix, `{host}` the service's host. Required.",
        ),
        setting(
            "status",
            Form::Word(&REDIRECTS),
            "308",
            "The status. 307 and 308 keep the method, 301 and 308 are for good: browsers remember them.",
        ),
        setting("keep_query", Form::Bool, "true", "Whether the call's query goes with it."),
    ],
};

pub(crate) static RESPOND: Section = Section {
    settings: &[
        setting("status", Form::Number { min: 200, max: 599 }, "", "The status. Required."),
        setting("headers", Form::Names(&Form::Text), "", "Header fields and their values."),
        setting("content_type", Form::Text, "text/plain; charset=utf-8", "What the content is."),
        setting("body", Form::Text, "", "The content."),
        setting("body_file", Form::Path, "", "A file that holds it, of at most `1MiB`."),
    ],
};
