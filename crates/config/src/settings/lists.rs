//! Settings of lists, and of who may call by them.

use super::{Form, Section, setting};

pub(crate) static LIST: Section = Section {
    settings: &[
        setting(
            "entries",
            Form::List(&Form::Text),
            "[]",
            "Addresses and networks (`192.0.2.1`, `2001:db8::/32`), countries (`KR`, ISO 3166-1), operators (`AS4766`).",
        ),
        setting(
            "files",
            Form::List(&Form::Path),
            "[]",
            "Files with one entry a line; what follows `#` or `;` is a comment. Watched like contracts.",
        ),
    ],
};

pub(crate) static GEO: Section = Section {
    settings: &[
        setting(
            "country",
            Form::Path,
            "",
            "A MaxMind file that tells countries: GeoLite2 or GeoIP2 Country, City or Enterprise.",
        ),
        setting(
            "asn",
            Form::Path,
            "",
            "A MaxMind file that tells operators: GeoLite2 ASN, GeoIP2 ISP or Enterprise.",
        ),
    ],
};

pub(crate) static CALLERS: Section = Section {
    settings: &[
        setting(
            "allow",
            Form::List(&Form::Text),
            "[]",
            "Lists; callers in none of them are refused. Empty: all may call.",
        ),
        setting(
            "deny",
            Form::List(&Form::Text),
            "[]",
            "Lists; callers in one of them are refused, whatever `allow` says.",
        ),
    ],
};
