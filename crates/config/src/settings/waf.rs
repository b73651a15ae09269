//! Rules that look for attacks.

use super::{Form, Section, setting};

pub(crate) static WAF: Section = Section {
    settings: &[
        setting(
            "rules",
            Form::List(&Form::Path),
            "",
            "Rule files in SecLang, in order: files, patterns with `*`, folders of the Core Rule Set; `builtin` for those that come with the program. The guard is off without.",
        ),
        setting(
            "paranoia",
            Form::Number { min: 1, max: 4 },
            "",
            "Paranoia level: rules up to it are asked and count. As the rule files say if not set.",
        ),
        setting(
            "inbound",
            Form::Number { min: 1, max: 1_000_000 },
            "",
            "Anomaly score at which a request is refused. As the rule files say if not set.",
        ),
        setting(
            "outbound",
            Form::Number { min: 1, max: 1_000_000 },
            "",
            "Anomaly score at which a response is refused. As the rule files say if not set.",
        ),
        setting(
            "exclusions",
            Form::List(&Form::Section(&WAF_EXCLUSION)),
            "",
            "What rules do not look at, beside what the levels above say.",
        ),
        setting(
            "responses",
            Form::Bool,
            "",
            "Whether rules look at responses, up to 1 MiB of text, HTML, XML and JSON. No if no level says.",
        ),
        setting(
            "body",
            Form::Size,
            "",
            "How much of a request's body rules look at. `1MiB` if no level says.",
        ),
        setting(
            "at_limit",
            Form::Word(&["reject", "process_partial"]),
            "",
            "What becomes of a longer body: it is refused, or its beginning is looked at. Refused if no level says.",
        ),
    ],
};

pub(crate) static WAF_EXCLUSION: Section = Section {
    settings: &[
        setting(
            "rules",
            Form::List(&Form::Number { min: 1, max: 4_293_999_999 }),
            "",
            "Ids of rules. An exclusion has rules or tags.",
        ),
        setting("tags", Form::List(&Form::Text), "", "Tags of rules, whole."),
        setting(
            "parameter",
            Form::Text,
            "",
            "Name of a parameter of query, form or JSON document (`json.items.0.note`); `*` stands for any letters.",
        ),
        setting("header", Form::Text, "", "Name of a header; `*` stands for any letters."),
        setting("cookie", Form::Text, "", "Name of a cookie; `*` stands for any letters."),
        setting("reason", Form::Text, "", "Why, for whoever reads the file and the plan. Required."),
    ],
};

pub(crate) const WAF_MEANING: &str = "Rules that look for attacks.";

pub(crate) const WAF_BELOW: &str =
    "Rules that look for attacks, where they differ from the level above; exclusions add up.";
