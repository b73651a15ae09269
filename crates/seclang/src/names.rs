//! The names of the language: collections, transformations, severities.

/// Makes an enum, its spellings (the first is the canonical one) and the look-up by name.
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($variant:ident = $first:literal $(| $other:literal)*),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name { $(#[doc = concat!("`", $first, "`")] $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The canonical spelling.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $first),* }
            }

            /// By any spelling, without regard to case.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($first) $(|| name.eq_ignore_ascii_case($other))* { return Some(Self::$variant); })*
                None
            }
        }
    };
}

names! {
    /// A variable: one value, or a collection of named ones.
    pub enum Collection {
        Args = "ARGS",
        ArgsCombinedSize = "ARGS_COMBINED_SIZE",
        ArgsGet = "ARGS_GET",
        ArgsGetNames = "ARGS_GET_NAMES",
        ArgsNames = "ARGS_NAMES",
        ArgsPost = "ARGS_POST",
        ArgsPostNames = "ARGS_POST_NAMES",
        AuthType = "AUTH_TYPE",
        Duration = "DURATION",
        Env = "ENV",
        Files = "FILES",
        FilesCombinedSize = "FILES_COMBINED_SIZE",
        FilesNames = "FILES_NAMES",
        FilesSizes = "FILES_SIZES",
        FilesTmpContent = "FILES_TMP_CONTENT",
        FullRequest = "FULL_REQUEST",
        FullRequestLength = "FULL_REQUEST_LENGTH",
        Global = "GLOBAL",
        HighestSeverity = "HIGHEST_SEVERITY",
        InboundDataError = "INBOUND_DATA_ERROR",
        Ip = "IP",
        MatchedVar = "MATCHED_VAR",
        MatchedVarName = "MATCHED_VAR_NAME",
        MatchedVars = "MATCHED_VARS",
        MatchedVarsNames = "MATCHED_VARS_NAMES",
        ModsecBuild = "MODSEC_BUILD",
        MscPcreError = "MSC_PCRE_ERROR",
        MscPcreLimitsExceeded = "MSC_PCRE_LIMITS_EXCEEDED",
        MultipartBoundaryQuoted = "MULTIPART_BOUNDARY_QUOTED",
        MultipartBoundaryWhitespace = "MULTIPART_BOUNDARY_WHITESPACE",
        MultipartCrlfLfLines = "MULTIPART_CRLF_LF_LINES",
        MultipartDataAfter = "MULTIPART_DATA_AFTER",
        MultipartDataBefore = "MULTIPART_DATA_BEFORE",
        MultipartFileLimitExceeded = "MULTIPART_FILE_LIMIT_EXCEEDED",
        MultipartFilename = "MULTIPART_FILENAME",
        MultipartHeaderFolding = "MULTIPART_HEADER_FOLDING",
        MultipartInvalidHeaderFolding = "MULTIPART_INVALID_HEADER_FOLDING",
        MultipartInvalidPart = "MULTIPART_INVALID_PART",
        MultipartInvalidQuoting = "MULTIPART_INVALID_QUOTING",
        MultipartLfLine = "MULTIPART_LF_LINE",
        MultipartMissingSemicolon = "MULTIPART_MISSING_SEMICOLON" | "MULTIPART_SEMICOLON_MISSING",
        MultipartName = "MULTIPART_NAME",
        MultipartPartHeaders = "MULTIPART_PART_HEADERS",
        MultipartStrictError = "MULTIPART_STRICT_ERROR",
        MultipartUnmatchedBoundary = "MULTIPART_UNMATCHED_BOUNDARY",
        OutboundDataError = "OUTBOUND_DATA_ERROR",
        PathInfo = "PATH_INFO",
        QueryString = "QUERY_STRING",
        RemoteAddr = "REMOTE_ADDR",
        RemoteHost = "REMOTE_HOST",
        RemotePort = "REMOTE_PORT",
        RemoteUser = "REMOTE_USER",
        ReqbodyError = "REQBODY_ERROR" | "REQBODY_PROCESSOR_ERROR",
        ReqbodyErrorMsg = "REQBODY_ERROR_MSG" | "REQBODY_PROCESSOR_ERROR_MSG",
        ReqbodyProcessor = "REQBODY_PROCESSOR",
        RequestBasename = "REQUEST_BASENAME",
        RequestBody = "REQUEST_BODY",
        RequestBodyLength = "REQUEST_BODY_LENGTH",
        RequestCookies = "REQUEST_COOKIES",
        RequestCookiesNames = "REQUEST_COOKIES_NAMES",
        RequestFilename = "REQUEST_FILENAME",
        RequestHeaders = "REQUEST_HEADERS",
        RequestHeadersNames = "REQUEST_HEADERS_NAMES",
        RequestLine = "REQUEST_LINE",
        RequestMethod = "REQUEST_METHOD",
        RequestProtocol = "REQUEST_PROTOCOL",
        RequestUri = "REQUEST_URI",
        RequestUriRaw = "REQUEST_URI_RAW",
        Resource = "RESOURCE",
        ResponseBody = "RESPONSE_BODY",
        ResponseContentLength = "RESPONSE_CONTENT_LENGTH",
        ResponseContentType = "RESPONSE_CONTENT_TYPE",
        ResponseHeaders = "RESPONSE_HEADERS",
        ResponseHeadersNames = "RESPONSE_HEADERS_NAMES",
        ResponseProtocol = "RESPONSE_PROTOCOL",
        ResponseStatus = "RESPONSE_STATUS",
        Rule = "RULE",
        ServerAddr = "SERVER_ADDR",
        ServerName = "SERVER_NAME",
        ServerPort = "SERVER_PORT",
        Session = "SESSION",
        SessionId = "SESSIONID",
        StatusLine = "STATUS_LINE",
        Time = "TIME",
        TimeDay = "TIME_DAY",
        TimeEpoch = "TIME_EPOCH",
        TimeHour = "TIME_HOUR",
        TimeMin = "TIME_MIN",
        TimeMon = "TIME_MON",
        TimeSec = "TIME_SEC",
        TimeWday = "TIME_WDAY",
        TimeYear = "TIME_YEAR",
        Tx = "TX",
        UniqueId = "UNIQUE_ID",
        UrlencodedError = "URLENCODED_ERROR",
        User = "USER",
        UserId = "USERID",
        WebAppId = "WEBAPPID",
        Xml = "XML",
    }
}

/// Names of ModSecurity's variables that this engine does not have, and why.
pub(crate) const ABSENT: &[(&str, &str)] = &[
    ("GEO", "there is no geographic database"),
    ("FILES_TMPNAMES", "uploads are not written to files; FILES_TMP_CONTENT holds what they contain"),
    ("PERF_ALL", "rules are not timed one by one"),
    ("PERF_RULES", "rules are not timed one by one"),
    ("SCRIPT_FILENAME", "a gateway runs no scripts"),
    ("SCRIPT_BASENAME", "a gateway runs no scripts"),
    ("SCRIPT_UID", "a gateway runs no scripts"),
    ("SCRIPT_GID", "a gateway runs no scripts"),
    ("SCRIPT_MODE", "a gateway runs no scripts"),
    ("SCRIPT_USERNAME", "a gateway runs no scripts"),
    ("SCRIPT_GROUPNAME", "a gateway runs no scripts"),
    ("STREAM_INPUT_BODY", "bodies are not rewritten"),
    ("STREAM_OUTPUT_BODY", "bodies are not rewritten"),
    ("USERAGENT_IP", "it is REMOTE_ADDR"),
    ("WEBSERVER_ERROR_LOG", "there is no web server's log"),
    ("SDBM_DELETE_ERROR", "collections are not kept in SDBM files"),
];

impl Collection {
    /// Whether it holds several values, each under a name.
    #[must_use]
    pub fn is_map(self) -> bool {
        use Collection as C;
        matches!(
            self,
            C::Args
                | C::ArgsGet
                | C::ArgsGetNames
                | C::ArgsNames
                | C::ArgsPost
                | C::ArgsPostNames
                | C::Env
                | C::Files
                | C::FilesNames
                | C::FilesSizes
                | C::FilesTmpContent
                | C::MatchedVars
                | C::MatchedVarsNames
                | C::MultipartFilename
                | C::MultipartName
                | C::MultipartPartHeaders
                | C::RequestCookies
                | C::RequestCookiesNames
                | C::RequestHeaders
                | C::RequestHeadersNames
                | C::ResponseHeaders
                | C::ResponseHeadersNames
                | C::Rule
                | C::Xml
        ) || self.is_written()
    }

    /// Whether rules write it (`setvar`).
    #[must_use]
    pub fn is_written(self) -> bool {
        self == Self::Tx || self.is_persistent()
    }

    /// Whether it outlives the transaction.
    #[must_use]
    pub fn is_persistent(self) -> bool {
        matches!(self, Self::Global | Self::Ip | Self::Session | Self::User | Self::Resource)
    }

    /// Whether its values stay what they are while the rules of a phase run: what the engine's shortcuts rest on.
    #[must_use]
    pub(crate) fn is_settled(self) -> bool {
        use Collection as C;
        !self.is_written()
            && !matches!(
                self,
                C::Duration
                    | C::Env
                    | C::HighestSeverity
                    | C::MatchedVar
                    | C::MatchedVarName
                    | C::MatchedVars
                    | C::MatchedVarsNames
                    | C::ReqbodyProcessor
                    | C::Rule
                    | C::SessionId
                    | C::Time
                    | C::UserId
                    | C::WebAppId
            )
    }
}

names! {
    /// A transformation: what is done to a value before an operator sees it.
    pub enum Transform {
        Base64Decode = "base64Decode",
        Base64DecodeExt = "base64DecodeExt",
        Base64Encode = "base64Encode",
        CmdLine = "cmdLine",
        CompressWhitespace = "compressWhitespace",
        CssDecode = "cssDecode",
        EscapeSeqDecode = "escapeSeqDecode",
        HexDecode = "hexDecode",
        HexEncode = "hexEncode",
        HtmlEntityDecode = "htmlEntityDecode",
        JsDecode = "jsDecode",
        Length = "length",
        Lowercase = "lowercase",
        Md5 = "md5",
        NormalizePath = "normalizePath" | "normalisePath",
        NormalizePathWin = "normalizePathWin" | "normalisePathWin",
        ParityEven7bit = "parityEven7bit",
        ParityOdd7bit = "parityOdd7bit",
        ParityZero7bit = "parityZero7bit",
        RemoveComments = "removeComments",
        RemoveCommentsChar = "removeCommentsChar",
        RemoveNulls = "removeNulls",
        RemoveWhitespace = "removeWhitespace",
        ReplaceComments = "replaceComments",
        ReplaceNulls = "replaceNulls",
        Sha1 = "sha1",
        SqlHexDecode = "sqlHexDecode",
        Trim = "trim",
        TrimLeft = "trimLeft",
        TrimRight = "trimRight",
        Uppercase = "uppercase",
        UrlDecode = "urlDecode",
        UrlDecodeUni = "urlDecodeUni",
        UrlEncode = "urlEncode",
        Utf8ToUnicode = "utf8toUnicode",
    }
}

names! {
    /// How grave a match is, as syslog numbers it.
    pub enum Severity {
        Emergency = "EMERGENCY" | "0",
        Alert = "ALERT" | "1",
        Critical = "CRITICAL" | "2",
        Error = "ERROR" | "3",
        Warning = "WARNING" | "4",
        Notice = "NOTICE" | "5",
        Info = "INFO" | "6",
        Debug = "DEBUG" | "7",
    }
}

names! {
    /// What reads a request body.
    pub enum BodyProcessor {
        UrlEncoded = "URLENCODED",
        Multipart = "MULTIPART",
        Json = "JSON",
        Xml = "XML",
    }
}

names! {
    /// An operator: what is asked of a value.
    pub enum OperatorName {
        BeginsWith = "beginsWith",
        Contains = "contains",
        ContainsWord = "containsWord",
        DetectSqli = "detectSQLi",
        DetectXss = "detectXSS",
        EndsWith = "endsWith",
        Eq = "eq",
        Ge = "ge",
        Gt = "gt",
        IpMatch = "ipMatch",
        IpMatchFromFile = "ipMatchFromFile" | "ipMatchF",
        Le = "le",
        Lt = "lt",
        NoMatch = "noMatch",
        Pm = "pm",
        PmFromFile = "pmFromFile" | "pmf",
        Rx = "rx",
        RxGlobal = "rxGlobal",
        StrEq = "streq",
        StrMatch = "strmatch",
        UnconditionalMatch = "unconditionalMatch",
        ValidateByteRange = "validateByteRange",
        ValidateUrlEncoding = "validateUrlEncoding",
        ValidateUtf8Encoding = "validateUtf8Encoding",
        VerifyCc = "verifyCC",
        VerifyCpf = "verifyCPF",
        VerifySsn = "verifySSN",
        VerifySvnr = "verifySVNR",
        Within = "within",
    }
}

/// Operators of ModSecurity that this engine does not have, and why.
pub(crate) const ABSENT_OPERATORS: &[(&str, &str)] = &[
    ("fuzzyHash", "there are no fuzzy hashes"),
    ("geoLookup", "there is no geographic database"),
    ("gsbLookup", "there are no look-ups outside the transaction"),
    ("inspectFile", "no programs are run"),
    ("rbl", "there are no look-ups outside the transaction: use lists of addresses with `@ipMatchFromFile`"),
    ("rsub", "bodies are not rewritten"),
    ("validateDTD", "documents are not validated: use a contract"),
    ("validateHash", "links are not signed"),
    ("validateSchema", "documents are not validated: use a contract"),
];
