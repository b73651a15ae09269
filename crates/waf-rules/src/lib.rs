//! The rules that are built in: a rule set of our own, written in SecLang, active without any download.
//!
//! A file holds one family of attacks (`rules/*.conf`), and beside it lie its tests (`tests/*.yaml`, for go-ftw). Ids are 9,0ff,nnn: `ff` is
//! the file's number. Every rule has a reason in its comment, a message, the attack's CWE and OWASP category as tags, and a severity, from which its
//! score follows: critical 5, error 4, warning 3, notice 2. What a request scores is summed up in `TX:haechi_score`, what its response does in
//! `TX:haechi_response_score`; at a score of 5 (`TX:haechi_threshold`) rule 9,099,001 or 9,099,002 refuses. So one rule that is sure is enough, and one
//! that only wonders needs another. All rules look at paranoia level 1.

use haechi_seclang::RulesBuilder;

/// What a configuration calls them.
pub const NAME: &str = "builtin";

/// Files by name, in the order they are read.
pub const FILES: &[(&str, &str)] = &[
    ("builtin/00-setup.conf", include_str!("../rules/00-setup.conf")),
    ("builtin/10-sql.conf", include_str!("../rules/10-sql.conf")),
    ("builtin/11-nosql.conf", include_str!("../rules/11-nosql.conf")),
    ("builtin/12-command.conf", include_str!("../rules/12-command.conf")),
    ("builtin/13-template.conf", include_str!("../rules/13-template.conf")),
    ("builtin/14-ldap-xpath.conf", include_str!("../rules/14-ldap-xpath.conf")),
    ("builtin/15-xss.conf", include_str!("../rules/15-xss.conf")),
    ("builtin/16-traversal.conf", include_str!("../rules/16-traversal.conf")),
    ("builtin/17-ssrf.conf", include_str!("../rules/17-ssrf.conf")),
    ("builtin/18-xxe.conf", include_str!("../rules/18-xxe.conf")),
    ("builtin/19-deserialization.conf", include_str!("../rules/19-deserialization.conf")),
    ("builtin/20-prototype.conf", include_str!("../rules/20-prototype.conf")),
    ("builtin/21-graphql.conf", include_str!("../rules/21-graphql.conf")),
    ("builtin/22-headers.conf", include_str!("../rules/22-headers.conf")),
    ("builtin/23-scanners.conf", include_str!("../rules/23-scanners.conf")),
    ("builtin/30-responses.conf", include_str!("../rules/30-responses.conf")),
    ("builtin/99-decide.conf", include_str!("../rules/99-decide.conf")),
];

/// Adds the built-in rules to others.
#[must_use]
pub fn add(builder: RulesBuilder<'_>) -> RulesBuilder<'_> {
    FILES.iter().fold(builder, |builder, (name, text)| builder.text(name, text))
}

/// Rules that set the paranoia level, for the Core Rule Set too. They stand before the rules that ask for it.
#[must_use]
pub fn paranoia(id: u32, level: u8) -> String {
    format!("SecAction \"id:{id},phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={level}\"\n")
}
