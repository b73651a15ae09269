//! The gateway as its users meet it: the real binary over real sockets.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail loudly")]

#[path = "gateway/access.rs"]
mod access;
#[path = "gateway/acme.rs"]
mod acme;
#[path = "gateway/change.rs"]
mod change;
#[path = "gateway/clients.rs"]
mod clients;
#[path = "gateway/differential.rs"]
mod differential;
#[path = "gateway/docs.rs"]
mod docs;
#[path = "gateway/fixed.rs"]
mod fixed;
#[path = "gateway/grpc.rs"]
mod grpc;
#[path = "gateway/http.rs"]
mod http;
#[path = "gateway/identity.rs"]
mod identity;
#[path = "gateway/keys.rs"]
mod keys;
#[path = "gateway/lifecycle.rs"]
mod lifecycle;
#[path = "gateway/lists.rs"]
mod lists;
#[path = "gateway/mirror.rs"]
mod mirror;
#[path = "gateway/pages.rs"]
mod pages;
#[path = "gateway/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "gateway/replay.rs"]
mod replay;
#[path = "gateway/rewrite.rs"]
mod rewrite;
#[path = "gateway/schemathesis.rs"]
mod schemathesis;
#[path = "gateway/services.rs"]
mod services;
#[path = "gateway/shop.rs"]
mod shop;
#[path = "gateway/smuggling.rs"]
mod smuggling;
#[path = "gateway/split.rs"]
mod split;
#[path = "gateway/streams.rs"]
mod streams;
#[path = "gateway/tls.rs"]
mod tls;
#[path = "gateway/upstreams.rs"]
mod upstreams;
#[path = "gateway/waf.rs"]
mod waf;
#[path = "gateway/waf_fetch.rs"]
mod waf_fetch;
#[path = "gateway/waf_verbs.rs"]
mod waf_verbs;
#[path = "gateway/websocket.rs"]
mod websocket;

/// The contract most tests use: items with an id, and a body to validate.
pub const SPEC: &str = r#"
openapi: 3.1.0
info: { title: Items, version: "1" }
paths:
  /items/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: string, maxLength: 64 } }
    get:
      operationId: getItem
      parameters:
        - { name: size, in: query, schema: { type: string, enum: [S, M, L] } }
      responses: { "200": { description: the item } }
  /items:
    post:
      operationId: createItem
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [name, quantity]
              additionalProperties: false
              properties:
                name: { type: string, maxLength: 40 }
                quantity: { type: integer, minimum: 1, maximum: 20 }
      responses: { "201": { description: made } }
  /files/{name}:
    put:
      operationId: putFile
      parameters:
        - { name: name, in: path, required: true, schema: { type: string } }
      requestBody: { content: { application/octet-stream: {} } }
      responses: { "200": { description: kept } }
    get:
      operationId: getFile
      parameters:
        - { name: name, in: path, required: true, schema: { type: string } }
      responses: { "200": { description: the file } }
"#;

/// A configuration with one listener, and the items behind `origin`.
pub fn config(origin: std::net::SocketAddr) -> String {
    format!(
        r#"haechi: 1
listen:
  - address: "127.0.0.1:0"
apis:
  items:
    openapi: ./items.yaml
    upstream: {{ urls: ["http://{origin}"] }}
    auth: none
"#
    )
}

/// A gateway with that configuration.
pub fn items(origin: &haechi_e2e::Origin) -> haechi_e2e::Gateway {
    haechi_e2e::Gateway::start(&[("haechi.yaml", &config(origin.address())), ("items.yaml", SPEC)])
}

/// The value of a series; 0 if it is not there yet.
pub fn metric(gateway: &haechi_e2e::Gateway, series: &str) -> u64 {
    let out = haechi_e2e::run(
        std::process::Command::new("curl")
            .args(["--silent", "--unix-socket"])
            .arg(gateway.dir().join("haechi.sock"))
            .arg("http://haechi/metrics"),
    );
    out.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap_or_default()
}
