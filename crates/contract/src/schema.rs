//! Schemas: from any of the three dialects to JSON Schema 2020-12, checked, bounded and compiled.
//!
//! Each schema is rewritten *in place*: the rewritten document has it at the same JSON pointer as
//! the specification, and each rewritten keyword keeps its name. So what the validator reports as
//! the broken rule is where the author wrote it.

mod compile;
mod convert;
mod cost;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use compile::{Breach, Schemas};

use crate::error::{Problem, Warning};
use crate::limits::Limits;
use crate::pointer;
use crate::source::{Documents, Node};

/// Which schema language a specification speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAPI 2.0: JSON Schema draft 4, cut down.
    V20,
    /// OpenAPI 3.0: JSON Schema Wright-00, cut down and extended.
    V30,
    /// OpenAPI 3.1: JSON Schema 2020-12 itself.
    V31,
}

/// Which way a value travels: `readOnly` and `writeOnly` mean different things each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// A schema that was handed to [`SchemaBuilder::add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SchemaIndex(pub(crate) usize);

/// A place in the files: file number and JSON pointer.
pub(crate) type Location = (usize, String);

/// Collects the schemas operations use, follows their references, and compiles the lot.
pub(crate) struct SchemaBuilder<'a> {
    documents: &'a Documents,
    limits: &'a Limits,
    dialect: Dialect,
    indices: HashMap<Location, SchemaIndex>,
    used: Vec<Location>,
    queue: VecDeque<Node<'a>>,
    seen: HashSet<Location>,
    converted: Vec<Converted>,
    patterns: compile::Patterns,
    references: usize,
    nodes: usize,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

/// One rewritten schema. The response form is kept only where it differs.
struct Converted {
    location: Location,
    request: Value,
    response: Option<Value>,
    /// Holds `$id`, `$anchor` or `$dynamicAnchor`, which references reach by name.
    named: bool,
}

impl<'a> SchemaBuilder<'a> {
    pub(crate) fn new(documents: &'a Documents, limits: &'a Limits, dialect: Dialect) -> Self {
        Self {
            documents,
            limits,
            dialect,
            indices: HashMap::new(),
            used: Vec::new(),
            queue: VecDeque::new(),
            seen: HashSet::new(),
            converted: Vec::new(),
            patterns: compile::Patterns::new(limits),
            references: 0,
            nodes: 0,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes a schema into use. One that is only a reference shares the validator of its target.
    pub(crate) fn add(&mut self, node: &Node<'a>) -> Result<SchemaIndex, Problem> {
        let only_reference = node
            .value
            .as_object()
            .is_some_and(|map| map.contains_key("$ref") && (map.len() == 1 || self.dialect != Dialect::V31));
        let node = if only_reference { node.dereference(self.limits)? } else { node.clone() };
        self.check(&node);
        let location = (node.file, node.pointer);
        if let Some(index) = self.indices.get(&location) {
            return Ok(*index);
        }
        let index = SchemaIndex(self.used.len());
        self.used.push(location.clone());
        self.indices.insert(location, index);
        Ok(index)
    }

    /// Takes a schema up for checking although no operation may use it.
    pub(crate) fn check(&mut self, node: &Node<'a>) {
        if self.seen.insert((node.file, node.pointer.clone())) {
            self.queue.push_back(node.clone());
        }
    }

    /// Rewrites, checks and compiles everything.
    pub(crate) fn finish(mut self, files: usize) -> Result<(Schemas, Vec<Warning>), Vec<Problem>> {
        while let Some(node) = self.queue.pop_front() {
            match self.convert(&node) {
                Ok(()) => {}
                Err(problem) => self.problems.push(problem),
            }
            if self.nodes > self.limits.schema_nodes || self.references > self.limits.refs {
                let limit = if self.nodes > self.limits.schema_nodes {
                    format!("more than {} schema objects", self.limits.schema_nodes)
                } else {
                    format!("more than {} references", self.limits.refs)
                };
                self.problems.push(node.problem(format!("the specification has {limit}")));
                break;
            }
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.converted
            .sort_by(|a, b| (a.location.1.len(), &a.location).cmp(&(b.location.1.len(), &b.location)));
        let request = self.assemble(files, |converted| &converted.request);
        let response = self.converted.iter().any(|converted| converted.response.is_some()).then(|| {
            self.assemble(files, |converted| converted.response.as_ref().unwrap_or(&converted.request))
        });
        // Both forms refer to the same schemas, so one measures both.
        let locations = self.converted.iter().map(|converted| &converted.location);
        let problems = cost::check(self.documents, &request, locations, self.limits);
        if !problems.is_empty() {
            return Err(problems);
        }
        let schemas = compile::compile(self.documents, request, response, &self.used, &self.patterns)?;
        Ok((schemas, self.warnings))
    }

    fn convert(&mut self, node: &Node<'a>) -> Result<(), Problem> {
        let mut request =
            convert::Conversion::new(self.dialect, Direction::Request, self.limits, &self.patterns);
        let value = request.schema(node, 0)?;
        let response = if request.directional {
            let mut response =
                convert::Conversion::new(self.dialect, Direction::Response, self.limits, &self.patterns);
            Some(response.schema(node, 0)?)
        } else {
            None
        };
        let convert::Conversion { nodes, references, named, problems, warnings, .. } = request;
        self.nodes += nodes;
        self.references += references.len();
        self.problems.extend(problems);
        self.warnings.extend(warnings);
        for target in &references {
            self.check(target);
        }
        self.converted.push(Converted {
            location: (node.file, node.pointer.clone()),
            request: value,
            response,
            named,
        });
        Ok(())
    }

    /// Puts the rewritten schemas at their pointers into otherwise empty documents.
    fn assemble(&self, files: usize, form: impl Fn(&Converted) -> &Value) -> Vec<Arc<Value>> {
        let mut roots = vec![Value::Object(Map::new()); files];
        for converted in &self.converted {
            let (file, pointer) = &converted.location;
            let Some(root) = roots.get_mut(*file) else { continue };
            // An outer schema was placed before and holds this one already.
            if pointer::lookup(root, pointer).is_none() {
                place(root, pointer, form(converted).clone());
            }
        }
        // The registry finds names by walking schema keywords from the root, and `components` is
        // none: schemas with names stand under `$defs` a second time.
        for (number, converted) in self.converted.iter().filter(|converted| converted.named).enumerate() {
            let (file, pointer) = &converted.location;
            if !pointer.is_empty()
                && let Some(root) = roots.get_mut(*file)
            {
                place(root, &format!("/$defs/{number}"), form(converted).clone());
            }
        }
        roots.into_iter().map(Arc::new).collect()
    }
}

/// Sets the value at `pointer`, with objects on the way (a pointer step `0` finds a member `0`).
fn place(root: &mut Value, pointer: &str, value: Value) {
    let mut slot = root;
    for token in pointer::tokens(pointer) {
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        let Value::Object(map) = slot else { return };
        slot = map.entry(token.into_owned()).or_insert(Value::Null);
    }
    *slot = value;
}

#[cfg(test)]
mod tests;
