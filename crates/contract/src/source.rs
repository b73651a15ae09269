//! The files of one specification, and walking over them with the place always at hand.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::contract::ReadFile;
use crate::error::Problem;
use crate::json;
use crate::limits::Limits;
use crate::pointer;

/// All files a specification is spread over, read once before anything is resolved.
pub(crate) struct Documents {
    files: Vec<SourceFile>,
    index: HashMap<PathBuf, usize>,
    /// Files that references name but that cannot be read: an error only where one is followed.
    unreadable: HashMap<PathBuf, Problem>,
}

struct SourceFile {
    path: PathBuf,
    /// Kept for line numbers in messages; empty for YAML, whose places are not recorded.
    text: String,
    value: Value,
}

/// One value of a file together with where it is.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) file: usize,
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
}

impl Documents {
    /// Reads `path` and every file its references lead to.
    pub(crate) fn read(path: &Path, limits: &Limits, read: &mut ReadFile<'_>) -> Result<Self, Problem> {
        let root = normalise(path);
        let mut documents = Self { files: Vec::new(), index: HashMap::new(), unreadable: HashMap::new() };
        documents.files.push(read_file(&root, limits, read)?);
        documents.index.insert(root, 0);
        let mut next = 0;
        while let Some(file) = documents.files.get(next) {
            let mut named = HashSet::new();
            external_files(&file.value, &mut named);
            let mut wanted: Vec<PathBuf> =
                named.iter().filter_map(|name| relative_to(&file.path, name).ok()).collect();
            wanted.sort();
            for path in wanted {
                if documents.index.contains_key(&path) || documents.unreadable.contains_key(&path) {
                    continue;
                }
                if documents.files.len() >= limits.files {
                    let message =
                        format!("the specification is spread over more than {} files", limits.files);
                    return Err(Problem::new(&path, "", None, message));
                }
                match read_file(&path, limits, read) {
                    Ok(file) => {
                        documents.index.insert(path, documents.files.len());
                        documents.files.push(file);
                    }
                    Err(problem) => {
                        documents.unreadable.insert(path, problem);
                    }
                }
            }
            next += 1;
        }
        Ok(documents)
    }

    /// The root of the main file.
    pub(crate) fn root(&self) -> Option<Node<'_>> {
        self.node(0, "")
    }

    /// The node at `pointer` of a file.
    pub(crate) fn node(&self, file: usize, pointer: &str) -> Option<Node<'_>> {
        let value = pointer::lookup(&self.files.get(file)?.value, pointer)?;
        Some(Node { documents: self, file, pointer: pointer.to_owned(), value })
    }

    /// The paths of all files that were read, the main file first.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// A digest of all but the main file's paths and what is only said to people.
    pub(crate) fn shared_fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (index, file) in self.files.iter().enumerate() {
            let Some(members) = file.value.as_object() else { continue };
            for (name, value) in members {
                if index > 0 || !matches!(name.as_str(), "paths" | "info" | "tags" | "servers") {
                    name.hash(&mut hasher);
                    value.to_string().hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    /// A digest of one operation (`#/paths/…/get`), its path's parameters and what all share.
    pub(crate) fn fingerprint(&self, shared: u64, rule: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        shared.hash(&mut hasher);
        if let (Some(file), Some(pointer)) = (self.files.first(), rule.strip_prefix('#')) {
            let above = pointer.rsplit_once('/').map_or("", |(above, _)| above);
            let parameters = format!("{above}/parameters");
            for place in [pointer, &parameters] {
                pointer::lookup(&file.value, place).map(Value::to_string).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// A problem at a place; the line is found if the file is JSON.
    pub(crate) fn problem(&self, file: usize, pointer: &str, message: impl Into<String>) -> Problem {
        let Some(source) = self.files.get(file) else {
            return Problem::new(Path::new(""), pointer, None, message);
        };
        let position = if source.text.is_empty() { None } else { json::position_of(&source.text, pointer) };
        Problem::new(&source.path, pointer, position, message)
    }

    /// How a place is written in reports: `#/pointer`, the file before it unless it is the main one.
    pub(crate) fn place(&self, file: usize, pointer: &str) -> String {
        match self.files.get(file) {
            Some(source) if file > 0 => {
                let base = self.files.first().and_then(|root| root.path.parent());
                let shown = base.and_then(|base| source.path.strip_prefix(base).ok()).unwrap_or(&source.path);
                format!("{}#{pointer}", shown.display())
            }
            _ => format!("#{pointer}"),
        }
    }
}

// === impl Node ===

impl<'a> Node<'a> {
    /// The member `key`, if this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.as_object()?.get(key)?;
        Some(self.child(key, value))
    }

    pub(crate) fn child(&self, token: &str, value: &'a Value) -> Node<'a> {
        Node {
            documents: self.documents,
            file: self.file,
            pointer: pointer::join(&self.pointer, token),
            value,
        }
    }

    /// The members, which must be those of an object.
    pub(crate) fn members(&self) -> Result<impl Iterator<Item = (&'a String, Node<'a>)> + use<'a>, Problem> {
        let map = self.value.as_object().ok_or_else(|| self.problem("an object is expected here"))?;
        let parent = self.clone();
        Ok(map.iter().map(move |(key, value)| (key, parent.child(key, value))))
    }

    /// The items, which must be those of an array.
    pub(crate) fn items(&self) -> Result<impl Iterator<Item = Node<'a>> + use<'a>, Problem> {
        let items = self.value.as_array().ok_or_else(|| self.problem("an array is expected here"))?;
        let parent = self.clone();
        Ok(items.iter().enumerate().map(move |(index, value)| parent.child(&index.to_string(), value)))
    }

    /// The member `key` as text; an error if it is something else.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        match self.get(key) {
            None => Ok(None),
            Some(node) => {
                node.value.as_str().map(Some).ok_or_else(|| node.problem(format!("`{key}` must be a string")))
            }
        }
    }

    /// The member `key` as text; an error if it is absent or something else.
    pub(crate) fn required_text(&self, key: &str) -> Result<&'a str, Problem> {
        self.text(key)?.ok_or_else(|| self.problem(format!("`{key}` is missing")))
    }

    /// The member `key` as a boolean, false when absent.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, Problem> {
        match self.get(key) {
            None => Ok(false),
            Some(node) => {
                node.value.as_bool().ok_or_else(|| node.problem(format!("`{key}` must be true or false")))
            }
        }
    }

    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        self.documents.problem(self.file, &self.pointer, message)
    }

    /// Follows `$ref` objects until something else is reached.
    pub(crate) fn dereference(&self, limits: &Limits) -> Result<Node<'a>, Problem> {
        let mut node = self.clone();
        for _ in 0..=limits.ref_depth {
            let Some(reference) = node.get("$ref") else { return Ok(node) };
            let Some(text) = reference.value.as_str() else {
                return Err(reference.problem("`$ref` must be a string"));
            };
            let (file, pointer) = reference.resolve(text)?;
            node = self
                .documents
                .node(file, &pointer)
                .ok_or_else(|| reference.problem(format!("`{text}` names nothing")))?;
        }
        Err(self.problem(format!(
            "the reference does not end: it leads in a circle, or over more than {} others",
            limits.ref_depth
        )))
    }

    /// The file and JSON pointer a reference names; whether something is there is not checked.
    pub(crate) fn resolve(&self, reference: &str) -> Result<(usize, String), Problem> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let file = if name.is_empty() {
            self.file
        } else {
            let base = self.documents.files.get(self.file).map(|file| file.path.as_path());
            let path =
                relative_to(base.unwrap_or(Path::new("")), name).map_err(|message| self.problem(message))?;
            match (self.documents.index.get(&path), self.documents.unreadable.get(&path)) {
                (Some(file), _) => *file,
                (None, Some(problem)) => {
                    return Err(self.problem(format!("`{name}` cannot be used: {problem}")));
                }
                (None, None) => return Err(self.problem(format!("`{name}` was not read"))),
            }
        };
        let pointer = pointer::percent_decode(fragment)
            .ok_or_else(|| self.problem(format!("`{reference}` has a broken percent-escape")))?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(self.problem(format!("`{reference}` is not a JSON pointer")));
        }
        Ok((file, pointer.into_owned()))
    }
}

// === reading ===

fn read_file(path: &Path, limits: &Limits, read: &mut ReadFile<'_>) -> Result<SourceFile, Problem> {
    let failed = |message: String| Problem::new(path, "", None, message);
    let bytes = read(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limits.file_bytes {
        return Err(failed(format!("is larger than {} bytes", limits.file_bytes)));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let json_like = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if json_like && !is_yaml {
        let value = json::parse_strict(bytes, limits.file_depth).map_err(|error| {
            Problem::new(path, &error.pointer, Some((error.line, error.column)), error.kind.to_string())
        })?;
        let text = String::from_utf8_lossy(bytes).into_owned();
        return Ok(SourceFile { path: path.to_owned(), text, value });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| failed("is not UTF-8".to_owned()))?;
    Ok(SourceFile { path: path.to_owned(), text: String::new(), value: read_yaml(path, text, limits)? })
}

fn read_yaml(path: &Path, text: &str, limits: &Limits) -> Result<Value, Problem> {
    let mut options = serde_saphyr::Options::default();
    // YAML 1.2: `no` and `on` are words, which matters in an `enum` of countries.
    options.strict_booleans = true;
    options.with_snippet = false;
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = limits.file_depth;
    // Aliases are legal in a specification; what they may expand to is bounded by the events.
    budget.max_events = 4_000_000;
    budget.max_nodes = 2_000_000;
    options.budget = Some(budget);
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let position = error.location().and_then(|location| {
            Some((usize::try_from(location.line()).ok()?, usize::try_from(location.column()).ok()?))
        });
        let message = error.to_string();
        let first_line = message.lines().next().unwrap_or("is not YAML");
        Problem::new(path, "", position, format!("cannot be parsed: {first_line}"))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Problem::new(path, "", None, "is neither a JSON nor a YAML object"))
    }
}

/// Collects the file part of every `$ref` that has one, leaving out places that hold data.
fn external_files(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, member) in map {
                match (key.as_str(), member) {
                    ("$ref", Value::String(reference)) => {
                        let name = reference.split('#').next().unwrap_or_default();
                        if !name.is_empty() {
                            found.insert(name.to_owned());
                        }
                    }
                    ("example" | "examples" | "enum" | "const" | "default", _) => {}
                    _ => external_files(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| external_files(item, found)),
        _ => {}
    }
}

/// The path a reference's file part names, seen from the file that holds it.
fn relative_to(base: &Path, name: &str) -> Result<PathBuf, String> {
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    if name.starts_with("//")
        || scheme.is_some_and(|scheme| {
            scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
    {
        return Err(format!(
            "`{name}` is not a file beside this one; nothing is fetched over the network: save it there and refer to the copy"
        ));
    }
    if name.starts_with('/') {
        return Err(format!("`{name}` is an absolute path; references must be relative to their file"));
    }
    let name =
        pointer::percent_decode(name).ok_or_else(|| format!("`{name}` has a broken percent-escape"))?;
    Ok(normalise(&base.parent().unwrap_or(Path::new("")).join(name.as_ref())))
}

/// Removes `.` and resolves `..` by name alone, so that one file has one path.
fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
