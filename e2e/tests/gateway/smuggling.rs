//! Every smuggling shape known from advisories, over real sockets: refused, closed, and nothing reaches the upstream.
//! The table in the manual is what this test saw.

use std::fmt::Write as _;
use std::path::Path;

use haechi_e2e::{Gateway, Origin, Raw};
use haechi_wire::shapes::{self, Expected};

use crate::config;

/// A contract that takes everything the shapes send, and the hidden requests too: what stops them is the wire alone.
const SPEC: &str = r#"
openapi: 3.1.0
info: { title: Everything, version: "1" }
paths:
  /:
    get: { responses: { default: { description: any } } }
    head: { responses: { default: { description: any } } }
    options: { responses: { default: { description: any } } }
    trace: { responses: { default: { description: any } } }
    post: { requestBody: { content: { "*/*": {} } }, responses: { default: { description: any } } }
  /{name}:
    parameters: [{ name: name, in: path, required: true, schema: { type: string } }]
    get: { responses: { default: { description: any } } }
    post: { requestBody: { content: { "*/*": {} } }, responses: { default: { description: any } } }
"#;

#[test]
fn no_smuggling_shape_reaches_the_upstream() {
    let origin = Origin::start();
    let config = config(origin.address())
        .replace("auth: none", "auth: none\n    validate: { request: \"off\" }")
        .replace("address: \"127.0.0.1:0\"", "address: \"127.0.0.1:0\"\n    protocols: [http1]");
    let gateway = Gateway::start(&[("haechi.yaml", &config), ("items.yaml", SPEC)]);
    // The contract does serve what the shapes hide: a request that is not hidden gets through.
    let mut plain = Raw::connect(gateway.address());
    plain.send(b"GET /smuggled-openly HTTP/1.1\r\nHost: haechi.test\r\n\r\n");
    assert_eq!(plain.response().expect("a response").status, 200);
    let mut table = String::new();
    let shapes = shapes::all();
    for shape in &shapes {
        let mut raw = Raw::connect(gateway.address());
        raw.send(&shape.bytes).finish();
        let mut statuses = Vec::new();
        while let Some(response) = raw.response() {
            statuses.push(response.status);
        }
        let closed = raw.is_closed();
        let marker = shape.marker();
        let reached =
            origin.seen().iter().any(|seen| seen.head.lines().next().unwrap_or_default().contains(&marker));
        assert!(!reached, "`{}` reached the upstream", shape.name);
        let became = match &shape.expected {
            Expected::Refused { code, status } => {
                assert_eq!(statuses.last(), Some(status), "`{}`: {statuses:?}", shape.name);
                assert!(closed, "`{}`: the connection stays open", shape.name);
                format!("{status} `{code}`, closed")
            }
            Expected::AcceptedAs(why) => format!("accepted: {why}"),
        };
        let row = format!("| `{}` | {} | {} | {became} |", shape.name, shape.family, shape.source);
        writeln!(table, "{row}").expect("written");
    }
    let page = page(&table, shapes.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manual/smuggling.md");
    if std::env::var_os("HAECHI_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/manual/smuggling.md is out of date: run the tests with HAECHI_WRITE_DOCS=1"
    );
}

fn page(table: &str, count: usize) -> String {
    format!(
        "# Request smuggling\n\n\
Two servers in a row that read the same bytes differently can be made to disagree about where a request ends. What one takes for a\n\
body, the other takes for the next request: a request nobody judged. Haechi reads HTTP/1 with one strict parser, sends on only what\n\
that parser understood, written anew, and refuses whatever another parser could read in a second way.\n\n\
The {count} shapes below come from RFCs, advisories and published research. The end-to-end test `smuggling` sends each of them to a\n\
running gateway over a socket, checks the answer, and checks that the hidden request never reaches the upstream. This table is\n\
written by that test.\n\n\
| shape | family | known from | what becomes of it |\n|---|---|---|---|\n{table}"
    )
}
