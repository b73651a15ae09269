//! What the tests of this crate share.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::violation::Violation;
use crate::{Contract, ContractError, Limits};

/// Loads a document given as text, as if it were a file of its own.
pub(crate) fn load_text(text: &str, extension: &str, limits: &Limits) -> Result<Contract, ContractError> {
    let mut file = tempfile::Builder::new().suffix(extension).tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Contract::load(file.path(), limits)
}

/// Loads a document.
pub(crate) fn load(document: &Value) -> Result<Contract, ContractError> {
    load_text(&serde_json::to_string_pretty(document).unwrap(), ".json", &Limits::default())
}

/// The first problem of a document that must not load.
pub(crate) fn refusal(document: &Value) -> String {
    let error = load(document).expect_err("the document must be refused");
    let problem = &error.problems()[0];
    format!("#{}: {}", problem.pointer(), problem.message())
}

/// A document of `version` with one operation `POST /things` that takes and answers a JSON body of
/// the schema.
pub(crate) fn with_schema(version: &str, schema: &Value) -> Value {
    if version == "2.0" {
        return json!({
            "swagger": "2.0", "info": {"title": "t", "version": "1"},
            "definitions": {"Thing": schema},
            "paths": {"/things": {"post": {
                "operationId": "post",
                "parameters": [{"in": "body", "name": "thing", "required": true, "schema": {"$ref": "#/definitions/Thing"}}],
                "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/Thing"}}}
            }}}
        });
    }
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}});
    json!({
        "openapi": version, "info": {"title": "t", "version": "1"},
        "components": {"schemas": {"Thing": schema}},
        "paths": {"/things": {"post": {
            "operationId": "post",
            "requestBody": {"required": true, "content": content},
            "responses": {"200": {"description": "", "content": content}}
        }}}
    })
}

/// What a JSON request body does against a schema: `keyword pointer rule`, one a violation.
pub(crate) fn judge(version: &str, schema: &Value, body: &Value) -> Vec<String> {
    let contract = load(&with_schema(version, schema)).unwrap();
    let text = body.to_string();
    lines(&contract.operation("post").unwrap().validate_body(Some("application/json"), text.as_bytes()))
}

/// The same for a response.
pub(crate) fn judge_response(version: &str, schema: &Value, body: &Value) -> Vec<String> {
    let contract = load(&with_schema(version, schema)).unwrap();
    let text = body.to_string();
    let operation = contract.operation("post").unwrap();
    lines(&operation.validate_response(200, Some("application/json"), text.as_bytes()))
}

/// Violations as short lines.
pub(crate) fn lines(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|violation| format!("{} {} {}", violation.keyword, violation.name, violation.schema_pointer))
        .collect()
}
