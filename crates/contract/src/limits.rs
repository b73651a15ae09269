//! Bounds on what a specification may cost to load, and on what it may cost per request.

/// Limits for loading one specification. The defaults load every public specification we know
/// (the largest has 1.6 MB) with an order of magnitude to spare.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one file. Default 32 MiB: a machine-written specification of thousands of
    /// operations has a few; beyond it something else was named by mistake.
    pub file_bytes: u64,
    /// Files one specification may be spread over. Default 256.
    pub files: usize,
    /// Nesting of one file. Default 256; readers recurse over it.
    pub file_depth: usize,
    /// How many `$ref` may lead to the next `$ref`. Default 32; a longer chain is a loop or a joke.
    pub ref_depth: usize,
    /// All `$ref` of one specification. Default 200,000.
    pub refs: usize,
    /// Schema objects of one specification, each file location counted once. Default 400,000:
    /// what is compiled costs memory by this count.
    pub schema_nodes: usize,
    /// How many schema objects may apply to one and the same value (through `$ref`, `allOf`,
    /// `oneOf` …), every path counted. Default 20,000: a chain of `allOf: [a, a]` doubles the work
    /// for each link, and every request would pay for it.
    pub schema_applications: u64,
    /// Nesting of schemas within one schema, without `$ref`. Default 100: the compiler recurses.
    pub schema_depth: usize,
    /// Values in one `enum`. Default 20,000.
    pub enum_values: usize,
    /// Bytes of one compiled pattern, and of its lazily built automaton. Default 1 MiB:
    /// `(a{1000}){1000}` is a few bytes to write and gigabytes to compile.
    pub regex_bytes: usize,
    /// Patterns that the linear-time engine cannot run (look-around, back-references) become a
    /// warning and are not checked, instead of an error. Default false: a check that silently does
    /// not happen is worse than a specification that has to be mended.
    pub skip_unsupported_patterns: bool,
    /// Nesting of a JSON body, request or response. Default 64, as most upstream parsers.
    pub body_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 32 << 20,
            files: 256,
            file_depth: 256,
            ref_depth: 32,
            refs: 200_000,
            schema_nodes: 400_000,
            schema_applications: 20_000,
            schema_depth: 100,
            enum_values: 20_000,
            regex_bytes: 1 << 20,
            skip_unsupported_patterns: false,
            body_depth: 64,
        }
    }
}
