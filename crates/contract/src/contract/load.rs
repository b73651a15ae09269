//! From the files of a specification to a [`Contract`].

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::{Contract, Server};
use crate::error::{ContractError, Problem, Warning};
use crate::limits::Limits;
use crate::media::MediaType;
use crate::operation::{Body, Media, Operation, OperationId, Status};
use crate::parameter::{Parameter, Shape, Style};
use crate::schema::{Dialect, SchemaBuilder};
use crate::source::{Documents, Node};
use crate::template;
use crate::violation::{Place, excerpt};

const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

pub(super) fn load(
    path: &Path,
    limits: &Limits,
    read: &mut super::ReadFile<'_>,
) -> Result<Contract, ContractError> {
    let documents = Documents::read(path, limits, read)?;
    let root = documents.root().ok_or_else(|| Problem::new(path, "", None, "is empty"))?;
    let dialect = dialect(&root)?;
    let files = documents.paths();
    let mut loader = Loader {
        documents: &documents,
        limits,
        dialect,
        schemas: SchemaBuilder::new(&documents, limits, dialect),
        problems: Vec::new(),
        warnings: Vec::new(),
        key_parameters: Vec::new(),
        ids: HashSet::new(),
    };
    let info = root.get("info").ok_or_else(|| root.problem("`info` is missing"))?;
    let title = info.required_text("title")?.to_owned();
    // `version: 1.0` is a number in YAML, and everybody writes it.
    let version = match info.get("version").map(|version| version.value) {
        Some(Value::String(version)) => version.clone(),
        Some(Value::Number(version)) => version.to_string(),
        Some(_) => return Err(info.problem("`version` must be a string").into()),
        None => return Err(info.problem("`version` is missing").into()),
    };
    let servers = loader.servers(&root)?;
    if let Err(problem) = loader.key_parameters(&root) {
        loader.problems.push(problem);
    }
    let drafts = loader.paths(&root, &servers)?;
    loader.shared_schemas(&root);
    let (mut problems, mut warnings) = (loader.problems, loader.warnings);
    let schemas = match loader.schemas.finish(files.len()) {
        Ok((schemas, more)) => {
            warnings.extend(more);
            Some(Arc::new(schemas))
        }
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    let Some(schemas) = schemas.filter(|_| problems.is_empty()) else {
        return Err(ContractError::new(problems));
    };
    let keys: Arc<[String]> = loader.key_parameters.into();
    let shared = documents.shared_fingerprint();
    let operations: Vec<Arc<Operation>> = drafts
        .into_iter()
        .map(|draft| {
            let fingerprint = documents.fingerprint(shared, &draft.rule);
            Arc::new(draft.finish(Arc::clone(&schemas), Arc::clone(&keys), limits, fingerprint))
        })
        .collect();
    let by_id: HashMap<String, usize> =
        operations.iter().enumerate().map(|(index, operation)| (operation.id().to_string(), index)).collect();
    Ok(Contract { title, version, servers, operations, by_id, warnings, files })
}

struct Loader<'a> {
    documents: &'a Documents,
    limits: &'a Limits,
    dialect: Dialect,
    schemas: SchemaBuilder<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    key_parameters: Vec<String>,
    ids: HashSet<String>,
}

/// An operation whose schemas are not compiled yet.
struct Draft {
    id: OperationId,
    method: Method,
    template: Arc<str>,
    summary: Option<String>,
    tags: Vec<String>,
    deprecated: bool,
    security: bool,
    parameters: Vec<Parameter>,
    body: Option<Body>,
    responses: Vec<(Status, Vec<Media>)>,
    rule: String,
}

impl Draft {
    fn finish(
        self,
        schemas: Arc<crate::schema::Schemas>,
        keys: Arc<[String]>,
        limits: &Limits,
        fingerprint: u64,
    ) -> Operation {
        Operation {
            id: self.id,
            method: self.method,
            template: self.template,
            summary: self.summary,
            tags: self.tags,
            deprecated: self.deprecated,
            security: self.security,
            parameters: self.parameters,
            key_parameters: keys,
            body: self.body,
            responses: self.responses,
            schemas,
            rule: self.rule,
            body_depth: limits.body_depth,
            fingerprint,
        }
    }
}

impl<'a> Loader<'a> {
    fn servers(&mut self, root: &Node<'a>) -> Result<Vec<Server>, Problem> {
        if self.dialect == Dialect::V20 {
            let host = root.text("host")?;
            let base = root.text("basePath")?.unwrap_or_default();
            return Ok(match host {
                Some(host) => vec![Server::new(&format!("https://{host}{base}"))],
                None if base.is_empty() => Vec::new(),
                None => vec![Server::new(base)],
            });
        }
        let Some(list) = root.get("servers") else { return Ok(Vec::new()) };
        let mut servers = Vec::new();
        for node in list.items()? {
            let mut url = node.required_text("url")?.to_owned();
            if let Some(variables) = node.get("variables") {
                for (name, variable) in variables.members()? {
                    let default = variable.required_text("default")?;
                    url = url.replace(&format!("{{{name}}}"), default);
                }
            }
            servers.push(Server::new(&url));
        }
        Ok(servers)
    }

    /// Query parameters that are API keys, so that they never count as unknown.
    fn key_parameters(&mut self, root: &Node<'a>) -> Result<(), Problem> {
        let schemes = match self.dialect {
            Dialect::V20 => root.get("securityDefinitions"),
            _ => root.get("components").and_then(|components| components.get("securitySchemes")),
        };
        let Some(schemes) = schemes else { return Ok(()) };
        for (_, scheme) in schemes.members()? {
            let scheme = scheme.dereference(self.limits)?;
            if scheme.text("type")? == Some("apiKey") && scheme.text("in")? == Some("query") {
                self.key_parameters.push(scheme.required_text("name")?.to_owned());
            }
        }
        Ok(())
    }

    /// Schemas no operation uses are checked all the same: `check` has to find every mistake.
    fn shared_schemas(&mut self, root: &Node<'a>) {
        let shared = match self.dialect {
            Dialect::V20 => root.get("definitions"),
            _ => root.get("components").and_then(|components| components.get("schemas")),
        };
        match shared.map(|shared| shared.members()) {
            Some(Ok(members)) => members.for_each(|(_, schema)| self.schemas.check(&schema)),
            Some(Err(problem)) => self.problems.push(problem),
            None => {}
        }
    }

    fn paths(&mut self, root: &Node<'a>, servers: &[Server]) -> Result<Vec<Draft>, Problem> {
        let Some(paths) = root.get("paths") else {
            // 3.1 allows a document of webhooks only: the API calls out and serves nothing.
            return if self.dialect == Dialect::V31 {
                Ok(Vec::new())
            } else {
                Err(root.problem("`paths` is missing"))
            };
        };
        let root_security = root.get("security");
        let mut drafts = Vec::new();
        for (template, item) in paths.members()? {
            if template.starts_with("x-") {
                continue;
            }
            if let Err(message) = template::Template::parse(template) {
                self.problems.push(item.problem(message));
                continue;
            }
            match item.dereference(self.limits) {
                Ok(target) => {
                    self.other_servers(&target, servers);
                    self.path_item(template, &target, root_security.as_ref(), &mut drafts);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(drafts)
    }

    fn other_servers(&mut self, item: &Node<'a>, servers: &[Server]) {
        match self.servers(item) {
            Ok(own) if self.dialect != Dialect::V20 => {
                let base = |servers: &[Server]| servers.first().map(|server| server.base_path.clone());
                if !own.is_empty() && base(&own) != base(servers) {
                    let message = "servers of a single path are not used: the API has one base path";
                    self.warnings.push(item.problem(message));
                }
            }
            Ok(_) => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    fn path_item(
        &mut self,
        template: &str,
        item: &Node<'a>,
        security: Option<&Node<'a>>,
        drafts: &mut Vec<Draft>,
    ) {
        let template: Arc<str> = Arc::from(template);
        let Some(members) = item.value.as_object() else {
            return self.problems.push(item.problem("a path must be an object"));
        };
        for (key, value) in members {
            let Some((_, method)) = METHODS.iter().find(|(name, _)| name == key) else { continue };
            match self.operation(&template, method, item, &item.child(key, value), security) {
                Ok(draft) => drafts.push(draft),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn operation(
        &mut self,
        template: &Arc<str>,
        method: &Method,
        item: &Node<'a>,
        node: &Node<'a>,
        root_security: Option<&Node<'a>>,
    ) -> Result<Draft, Problem> {
        drop(node.members()?);
        let id = match node.text("operationId")? {
            Some("") => return Err(node.problem("`operationId` is empty")),
            Some(id) => id.to_owned(),
            None => format!("{method} {template}"),
        };
        if !self.ids.insert(id.clone()) {
            return Err(node.problem(format!("the operationId `{}` stands twice", excerpt(&id))));
        }
        let mut parameters = Vec::new();
        let mut body = None;
        self.parameters(item, node, &mut parameters, &mut body)?;
        self.match_template(template, node, &mut parameters)?;
        if self.dialect != Dialect::V20
            && let Some(request_body) = node.get("requestBody")
        {
            body = Some(self.request_body(&request_body)?);
        }
        let own_security = node.get("security");
        let security = own_security.as_ref().or(root_security);
        let mut tags = Vec::new();
        if let Some(list) = node.get("tags") {
            tags.extend(list.items()?.filter_map(|tag| tag.value.as_str().map(str::to_owned)));
        }
        Ok(Draft {
            id: OperationId::new(&id),
            method: method.clone(),
            template: Arc::clone(template),
            summary: node.text("summary")?.map(str::to_owned),
            tags,
            deprecated: node.flag("deprecated")?,
            security: security.map_or(Ok(false), demands_credentials)?,
            parameters,
            body,
            responses: self.responses(node)?,
            rule: self.documents.place(node.file, &node.pointer),
        })
    }

    /// The operation's parameters and the path's that it does not replace.
    fn parameters(
        &mut self,
        item: &Node<'a>,
        operation: &Node<'a>,
        parameters: &mut Vec<Parameter>,
        body: &mut Option<Body>,
    ) -> Result<(), Problem> {
        let mut seen = HashSet::new();
        let mut form = Vec::new();
        for (own, level) in [(true, operation), (false, item)] {
            let Some(list) = level.get("parameters") else { continue };
            for reference in list.items()? {
                let node = reference.dereference(self.limits)?;
                let name = node.text("name")?.unwrap_or_default().to_owned();
                let place = node.required_text("in")?;
                if !seen.insert((own, name.to_ascii_lowercase(), place))
                    && place != "query"
                    && place != "path"
                {
                    return Err(node.problem(format!("the parameter `{}` stands twice", excerpt(&name))));
                }
                if !own && seen.contains(&(true, name.to_ascii_lowercase(), place)) {
                    continue;
                }
                let place = match (place, self.dialect) {
                    ("path", _) => Place::Path,
                    ("query", _) => Place::Query,
                    ("header", _) => Place::Header,
                    ("cookie", Dialect::V30 | Dialect::V31) => Place::Cookie,
                    ("body", Dialect::V20) => {
                        *body = Some(self.body_parameter(operation, &node)?);
                        continue;
                    }
                    ("formData", Dialect::V20) => {
                        form.push(self.parameter(&node, Place::Body)?);
                        continue;
                    }
                    (other, _) => {
                        return Err(node.problem(format!("`{}` is no place of a parameter", excerpt(other))));
                    }
                };
                // OpenAPI: these three are described elsewhere, a definition here is ignored.
                let ignored = ["accept", "content-type", "authorization"];
                if place == Place::Header && ignored.contains(&name.to_ascii_lowercase().as_str()) {
                    continue;
                }
                parameters.push(self.parameter(&node, place)?);
            }
        }
        if !form.is_empty() {
            *body = Some(Body {
                required: form.iter().any(|field| field.required),
                content: self.consumed(operation, "application/x-www-form-urlencoded")?,
                form,
                rule: self.documents.place(operation.file, &operation.pointer),
            });
        }
        Ok(())
    }

    fn parameter(&mut self, node: &Node<'a>, place: Place) -> Result<Parameter, Problem> {
        let name = node.required_text("name")?.to_owned();
        let required = node.flag("required")?;
        if place == Place::Path && !required {
            return Err(
                node.problem(format!("the path parameter `{}` must be `required: true`", excerpt(&name)))
            );
        }
        let (style, explode) = style(node, place, self.dialect)?;
        let mut json = false;
        let schema = match (self.dialect, node.get("schema"), node.get("content")) {
            (Dialect::V20, _, _) => Some(node.clone()),
            (_, Some(schema), None) => Some(schema),
            (_, None, Some(content)) => {
                let mut members = content.members()?;
                let Some((kind, media)) = members.next().filter(|_| members.next().is_none()) else {
                    return Err(content.problem("`content` of a parameter names exactly one media type"));
                };
                json = MediaType::parse(kind).is_some_and(|kind| kind.format() == crate::media::Format::Json);
                media.get("schema").filter(|_| json)
            }
            (_, Some(_), Some(_)) => {
                return Err(node.problem("a parameter has `schema` or `content`, not both"));
            }
            (_, None, None) => return Err(node.problem("a parameter needs a `schema` or a `content`")),
        };
        let shape = schema.as_ref().map_or(Ok(Shape::default()), |schema| Shape::of(schema, self.limits))?;
        Ok(Parameter {
            name,
            place,
            required,
            allow_empty: node.flag("allowEmptyValue")?,
            style,
            explode,
            json,
            shape,
            schema: schema.map(|schema| self.schemas.add(&schema)).transpose()?,
            rule: self.documents.place(node.file, &node.pointer),
        })
    }

    /// Each name in the template is declared and each declared name is in the template.
    fn match_template(
        &mut self,
        template: &str,
        node: &Node<'a>,
        parameters: &mut Vec<Parameter>,
    ) -> Result<(), Problem> {
        let parsed = template::Template::parse(template).map_err(|message| node.problem(message))?;
        let names: Vec<&str> = parsed.names().collect();
        let declared = |name: &str| {
            parameters.iter().any(|parameter| parameter.place == Place::Path && parameter.name == name)
        };
        for name in &names {
            if !declared(name) {
                self.warnings.push(
                    node.problem(format!(
                        "the path parameter `{name}` is not declared; any text is accepted"
                    )),
                );
            }
        }
        let mut unknown = None;
        parameters.retain(|parameter| {
            let keep = parameter.place != Place::Path || names.contains(&parameter.name.as_str());
            if !keep {
                unknown = Some(parameter.name.clone());
            }
            keep
        });
        match unknown {
            Some(name) => {
                Err(node.problem(format!("the path parameter `{}` is not in the template", excerpt(&name))))
            }
            None => Ok(()),
        }
    }

    fn request_body(&mut self, reference: &Node<'a>) -> Result<Body, Problem> {
        let node = reference.dereference(self.limits)?;
        let content = node.get("content").ok_or_else(|| node.problem("`content` is missing"))?;
        Ok(Body {
            required: node.flag("required")?,
            content: self.content(&content)?,
            form: Vec::new(),
            rule: self.documents.place(node.file, &node.pointer),
        })
    }

    fn content(&mut self, node: &Node<'a>) -> Result<Vec<Media>, Problem> {
        let mut content = Vec::new();
        for (range, media) in node.members()? {
            let range = MediaType::parse(range)
                .ok_or_else(|| media.problem(format!("`{}` is no media type", excerpt(range))))?;
            content.push(self.media(range, media.get("schema"), &media)?);
        }
        Ok(content)
    }

    fn media(
        &mut self,
        range: MediaType,
        schema: Option<Node<'a>>,
        node: &Node<'a>,
    ) -> Result<Media, Problem> {
        let shape = match &schema {
            Some(schema) if range.covers_form() => Shape::of(schema, self.limits)?,
            _ => Shape::default(),
        };
        Ok(Media {
            range,
            schema: schema.map(|schema| self.schemas.add(&schema)).transpose()?,
            shape,
            rule: self.documents.place(node.file, &node.pointer),
        })
    }

    /// OpenAPI 2.0: the media types of a request are listed beside, not around, its schema.
    fn body_parameter(&mut self, operation: &Node<'a>, node: &Node<'a>) -> Result<Body, Problem> {
        let schema = node.get("schema").ok_or_else(|| node.problem("`schema` is missing"))?;
        let mut content = self.consumed(operation, "application/json")?;
        let index = self.schemas.add(&schema)?;
        content.iter_mut().for_each(|media| media.schema = Some(index));
        let rule = self.documents.place(node.file, &node.pointer);
        Ok(Body { required: node.flag("required")?, content, form: Vec::new(), rule })
    }

    fn consumed(&mut self, operation: &Node<'a>, default: &str) -> Result<Vec<Media>, Problem> {
        self.listed(operation, "consumes", default, None)
    }

    /// The media types `key` lists for an operation, else for the API, else the default.
    fn listed(
        &mut self,
        operation: &Node<'a>,
        key: &str,
        default: &str,
        schema: Option<&Node<'a>>,
    ) -> Result<Vec<Media>, Problem> {
        let global = self.documents.root().and_then(|root| root.get(key));
        let mut content = Vec::new();
        if let Some(list) = operation.get(key).or(global) {
            for item in list.items()? {
                let range = item.value.as_str().and_then(MediaType::parse);
                let range = range.ok_or_else(|| item.problem("a media type is expected here"))?;
                content.push(self.media(range, schema.cloned(), operation)?);
            }
        }
        if content.is_empty()
            && let Some(range) = MediaType::parse(default)
        {
            content.push(self.media(range, schema.cloned(), operation)?);
        }
        Ok(content)
    }

    fn responses(&mut self, operation: &Node<'a>) -> Result<Vec<(Status, Vec<Media>)>, Problem> {
        let Some(node) = operation.get("responses") else { return Ok(Vec::new()) };
        let mut responses = Vec::new();
        for (key, reference) in node.members()? {
            if key.starts_with("x-") {
                continue;
            }
            let status = status(key).ok_or_else(|| {
                reference.problem(format!(
                    "`{}` is neither a status, a class like `2XX`, nor `default`",
                    excerpt(key)
                ))
            })?;
            let response = reference.dereference(self.limits)?;
            let content = match (self.dialect, response.get("schema"), response.get("content")) {
                (Dialect::V20, Some(schema), _) => {
                    self.listed(operation, "produces", "application/json", Some(&schema))?
                }
                (Dialect::V30 | Dialect::V31, _, Some(content)) => self.content(&content)?,
                _ => Vec::new(),
            };
            responses.push((status, content));
        }
        Ok(responses)
    }
}

// === helpers ===

fn dialect(root: &Node<'_>) -> Result<Dialect, Problem> {
    let version = |key: &str| match root.get(key).map(|version| version.value) {
        Some(Value::String(version)) => version.clone(),
        Some(Value::Number(version)) => version.to_string(),
        _ => String::new(),
    };
    let (openapi, swagger) = (version("openapi"), version("swagger"));
    if openapi.starts_with("3.1.") || openapi == "3.1" {
        Ok(Dialect::V31)
    } else if openapi.starts_with("3.0.") || openapi == "3.0" {
        Ok(Dialect::V30)
    } else if swagger == "2.0" {
        Ok(Dialect::V20)
    } else if openapi.is_empty() && swagger.is_empty() {
        Err(root.problem("is no OpenAPI document: it says neither `openapi: 3.x` nor `swagger: \"2.0\"`"))
    } else {
        let found = excerpt(if openapi.is_empty() { &swagger } else { &openapi });
        Err(root.problem(format!("OpenAPI `{found}` is not supported; 2.0, 3.0 and 3.1 are")))
    }
}

fn demands_credentials(node: &Node<'_>) -> Result<bool, Problem> {
    let mut any = false;
    for alternative in node.items()? {
        if alternative.members()?.next().is_none() {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

fn status(key: &str) -> Option<Status> {
    match key.as_bytes() {
        b"default" => Some(Status::Default),
        [class @ b'1'..=b'5', b'X' | b'x', b'X' | b'x'] => Some(Status::Class(u16::from(class - b'0'))),
        [b'1'..=b'9', _, _] => key.parse().ok().map(Status::Exact),
        _ => None,
    }
}

fn style(node: &Node<'_>, place: Place, dialect: Dialect) -> Result<(Style, bool), Problem> {
    if dialect == Dialect::V20 {
        return match node.text("collectionFormat")?.unwrap_or("csv") {
            "csv" if place == Place::Path || place == Place::Header => Ok((Style::Simple, false)),
            "csv" => Ok((Style::Form, false)),
            "ssv" => Ok((Style::Space, false)),
            "tsv" => Ok((Style::Tab, false)),
            "pipes" => Ok((Style::Pipe, false)),
            "multi" if place == Place::Query || place == Place::Body => Ok((Style::Form, true)),
            other => Err(node.problem(format!("`{}` is no collectionFormat here", excerpt(other)))),
        };
    }
    let style = match (node.text("style")?, place) {
        (None, Place::Path | Place::Header) | (Some("simple"), Place::Path | Place::Header) => Style::Simple,
        (None | Some("form"), Place::Query | Place::Cookie) => Style::Form,
        (Some("label"), Place::Path) => Style::Label,
        (Some("matrix"), Place::Path) => Style::Matrix,
        (Some("spaceDelimited"), Place::Query) => Style::Space,
        (Some("pipeDelimited"), Place::Query) => Style::Pipe,
        (Some("deepObject"), Place::Query) => Style::Deep,
        (other, _) => {
            return Err(node.problem(format!("`{}` is no style here", excerpt(other.unwrap_or_default()))));
        }
    };
    let explode = match node.get("explode") {
        Some(_) => node.flag("explode")?,
        None => style == Style::Form,
    };
    Ok((style, explode))
}
