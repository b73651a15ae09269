//! The directives that set something.

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// The engine follows it.
    Followed,
    /// It is the host's business and changes no decision: told as a notice.
    Host(&'static str),
    /// It would change decisions, and the engine cannot do it: an error.
    Refused(&'static str),
}

use Treatment::{Followed, Host, Refused};

const AUDIT: Treatment =
    Host("the host records what the engine tells it; there is no audit log of the engine's own");
const DEBUG: Treatment = Host("there is no debug log");
const FILES: Treatment = Host("uploads are not written to files");
const LINEAR: Treatment = Host("patterns are matched in linear time: no limit is needed");
const HOST: Treatment = Host("it belongs to the server that embeds the engine");
const LOOKUP: Treatment = Refused("there are no look-ups outside the transaction");

/// Every directive of ModSecurity that is not about rules.
pub(crate) const SETTINGS: &[(&str, Treatment)] = &[
    ("SecArgumentSeparator", Followed),
    ("SecArgumentsLimit", Followed),
    ("SecAuditEngine", AUDIT),
    ("SecAuditLog", AUDIT),
    ("SecAuditLog2", AUDIT),
    ("SecAuditLogDirMode", AUDIT),
    ("SecAuditLogFileMode", AUDIT),
    ("SecAuditLogFormat", AUDIT),
    ("SecAuditLogParts", AUDIT),
    ("SecAuditLogPrefix", AUDIT),
    ("SecAuditLogRelevantStatus", AUDIT),
    ("SecAuditLogStorageDir", AUDIT),
    ("SecAuditLogType", AUDIT),
    ("SecCacheTransformations", Host("transformations are always remembered within a transaction")),
    ("SecChrootDir", HOST),
    ("SecCollectionTimeout", Followed),
    ("SecComponentSignature", Followed),
    ("SecConnEngine", HOST),
    ("SecConnReadStateLimit", HOST),
    ("SecConnWriteStateLimit", HOST),
    ("SecContentInjection", Refused("bodies are not rewritten")),
    ("SecCookieFormat", Followed),
    ("SecCookieV0Separator", Followed),
    ("SecDataDir", Host("collections are kept by the host's store")),
    ("SecDebugLog", DEBUG),
    ("SecDebugLogLevel", DEBUG),
    ("SecDisableBackendCompression", HOST),
    ("SecGeoLookupDb", LOOKUP),
    ("SecGsbLookupDb", LOOKUP),
    ("SecGuardianLog", AUDIT),
    ("SecHashEngine", Refused("links are not signed")),
    ("SecHashKey", Refused("links are not signed")),
    ("SecHashMethodPm", Refused("links are not signed")),
    ("SecHashMethodRx", Refused("links are not signed")),
    ("SecHashParam", Refused("links are not signed")),
    ("SecHttpBlKey", LOOKUP),
    ("SecInterceptOnError", HOST),
    ("SecPcreMatchLimit", LINEAR),
    ("SecPcreMatchLimitRecursion", LINEAR),
    ("SecRemoteRules", Refused("rules are not downloaded while they are loaded")),
    ("SecRemoteRulesFailAction", Host("rules are not downloaded while they are loaded")),
    ("SecRequestBodyAccess", Followed),
    ("SecRequestBodyInMemoryLimit", HOST),
    ("SecRequestBodyJsonDepthLimit", Followed),
    ("SecRequestBodyLimit", Followed),
    ("SecRequestBodyLimitAction", Followed),
    ("SecRequestBodyNoFilesLimit", Followed),
    ("SecResponseBodyAccess", Followed),
    ("SecResponseBodyLimit", Followed),
    ("SecResponseBodyLimitAction", Followed),
    ("SecResponseBodyMimeType", Followed),
    ("SecResponseBodyMimeTypesClear", Followed),
    ("SecRuleEngine", Followed),
    ("SecRuleInheritance", HOST),
    ("SecRulePerfTime", DEBUG),
    ("SecRuleScript", Refused("there is no Lua")),
    ("SecSensorId", AUDIT),
    ("SecServerSignature", HOST),
    ("SecStatusEngine", HOST),
    ("SecStreamInBodyInspection", Refused("bodies are not rewritten")),
    ("SecStreamOutBodyInspection", Refused("bodies are not rewritten")),
    ("SecTmpDir", FILES),
    ("SecTmpSaveUploadedFiles", FILES),
    ("SecUnicodeCodePage", Host("`SecUnicodeMapFile` names the code page")),
    (
        "SecUnicodeMapFile",
        Host(
            "code points beyond ASCII are mapped as ModSecurity does without a map: full-width forms to ASCII",
        ),
    ),
    ("SecUploadDir", FILES),
    ("SecUploadFileLimit", Followed),
    ("SecUploadFileMode", FILES),
    ("SecUploadKeepFiles", FILES),
    ("SecWebAppId", Followed),
    ("SecXmlExternalEntity", Host("entities are never fetched")),
    ("SecParseXmlIntoArgs", Refused("what a document contains is in XML, not in ARGS")),
];
