//! Valid configurations with all that there is, and the files they name.

use std::path::Path;

use serde_json::{Value, json};

/// Files that the configurations name.
pub(crate) const FILES: [&str; 10] = [
    "items.yaml",
    "tls.pem",
    "tls.key",
    "ca.pem",
    "keys.json",
    "secrets/tls-key",
    "office.txt",
    "country.mmdb",
    "asn.mmdb",
    "attacks.conf",
];

const SPEC: &str = r#"
openapi: 3.1.0
info: { title: Items, version: "1" }
paths:
  /items/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: string, maxLength: 64 } }
    get: { operationId: getItem, responses: { "200": { description: the item } } }
  /items:
    post:
      operationId: createItem
      requestBody: { content: { application/json: { schema: { type: object, required: [name] } } } }
      responses: { "201": { description: made } }
  /feed:
    get: { operationId: feed, responses: { "101": { description: a feed } } }
"#;

const KEYS: &str = r#"{ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a", "use": "sig", "alg": "ES256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }] }"#;

const OFFICE: &str = "# the office\n192.0.2.0/24\nKR\nAS4766\n";

const COUNTRY: &[u8] = include_bytes!("../../../lists/tests/data/country.mmdb");
const ASN: &[u8] = include_bytes!("../../../lists/tests/data/asn.mmdb");
const ATTACKS: &str = "SecRule ARGS \"@detectSQLi\" \"id:1,phase:2,deny,tag:attack-sqli\"\n";

/// The files' contents.
pub(crate) struct Contents([Vec<u8>; FILES.len()]);

impl Contents {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let files: [&[u8]; FILES.len()] = [
            SPEC.as_bytes(),
            cert.as_bytes(),
            key.as_bytes(),
            cert.as_bytes(),
            KEYS.as_bytes(),
            key.as_bytes(),
            OFFICE.as_bytes(),
            COUNTRY,
            ASN,
            ATTACKS.as_bytes(),
        ];
        Self(files.map(<[u8]>::to_vec))
    }

    /// A directory with the files, and this text as `haechi.yaml`.
    pub(crate) fn write(&self, dir: &Path, text: &str) {
        std::fs::create_dir_all(dir.join("secrets")).expect("a directory");
        for (name, content) in FILES.iter().zip(&self.0) {
            std::fs::write(dir.join(name), content).expect("written");
        }
        std::fs::write(dir.join("haechi.yaml"), text).expect("written");
    }
}

/// Where calls go: nowhere, and not beyond this machine though a digit is lost.
fn upstream() -> Value {
    json!({
        "urls": [{ "url": "http://[::1]:1", "weight": 3 }, "https://[::1]:1/below"],
        "protocol": "http1", "timeout": "2s", "try_timeout": "1s", "body_timeout": "9s", "connect_timeout": "500ms",
        "max_connections": 9, "refresh": "20s",
        "retries": { "max": 1, "on": ["reset", "502"], "share": "10%", "floor": 3 },
        "ejection": { "failures": 3, "for": "2s", "longest": "1m", "at_most": "40%" },
        "breaker": { "failures": "50%", "least_calls": 9, "window": "5s", "open": "3s", "trials": 2 },
        "health": { "path": "/well", "interval": "30s", "timeout": "1s", "healthy": 1, "unhealthy": 2, "expect": [200, 204] },
        "tls": { "ca": "file:ca.pem", "cert": "file:tls.pem", "key": "secret:tls-key", "name": "localhost",
                 "pins": ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] },
        "mirror": { "urls": ["http://[::1]:1/copy"], "share": "5%", "methods": ["GET", "POST"] },
        "split": { "sticky": "principal", "parts": {
            "green": { "share": "10%", "urls": ["http://[::1]:1"] },
            "next": { "share": "0.5%", "urls": [{ "url": "http://[::1]:1/next", "weight": 2 }] } } },
    })
}

/// Valid configurations. Whatever there is to set is set in one of them: a test holds them to it.
pub(crate) fn bases() -> [Value; 3] {
    let api = json!({
        "openapi": "./items.yaml", "base_path": "/v1", "upstream": { "urls": ["http://[::1]:1"] },
        "auth": ["partner"], "plan": { "default": "small", "partner": "large" },
        "validate": { "request": "enforce", "response": "observe", "unknown_paths": "enforce", "unknown_parameters": "observe" },
        "modes": { "limits": "observe" },
        "operations": { "getItem": { "auth": "none", "timeout": "1s" }, "createItem": { "body": "4KiB", "expose": true } },
    });
    let acme = json!({
        "directory": "https://[::1]:1/dir", "domains": ["pizza.example", "menu.pizza.example"], "ca": "file:ca.pem",
        "contact": ["mailto:ops@pizza.example"], "challenge": "tls-alpn-01", "accept_terms": true,
    });
    [
        json!({
            "haechi": 1, "workers": 1,
            "listen": [
                { "address": "127.0.0.1:0" },
                { "address": "127.0.0.1:0", "trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": "required", "protocols": ["http1"] },
                { "address": "127.0.0.1:0", "stage": "staging" },
            ],
            "identity": { "partner": { "api_key": { "header": "X-Api-Key", "collection": "partners" } } },
            "plans": { "small": { "rate": "5/s" }, "large": { "rate": "600/min", "burst": 9, "per": "credential" } },
            "apis": { "items": api },
        }),
        json!({
            "haechi": 1, "workers": 1,
            "data": "./state", "events": { "dir": "./events", "max_size": "2MiB", "max_age": "1d",
                "requests": { "sample": "1%", "max_body": "4KiB", "max_size": "2MiB", "max_age": "1d" } },
            "control": { "socket": "./haechi.sock", "metrics": "127.0.0.1:0" },
            "listen": [
                { "address": "127.0.0.1:0" },
                { "address": "127.0.0.1:0", "tls": {
                    "cert": "file:tls.pem", "key": "file:tls.key", "min_version": "1.3",
                    "certificates": [{ "cert": "file:tls.pem", "key": "file:tls.key" }], "acme": acme } },
            ],
            "identity": {
                "partner": { "api_key": { "collection": "partners" } },
                "customer": { "jwt": { "issuer": "https://[::1]:1", "audience": "api", "jwks": "http://[::1]:1/jwks", "algorithms": ["ES256"] } },
            },
            "plans": { "small": { "rate": "5/s" }, "large": { "rate": "50/s" } },
            "apis": { "items": api },
            "services": { "website": { "host": "www.pizza.example", "prefix": "/", "upstream": { "urls": ["http://[::1]:1"] },
                "auth": "none", "methods": ["GET", "HEAD"], "compress": "all" },
                "upgrade": { "host": "www.pizza.example", "scheme": "http", "auth": "none",
                    "redirect": { "to": "https://{host}{path}", "status": 307, "keep_query": true } },
                "robots": { "path": "/robots.txt", "auth": "none", "plan": "small", "respond": { "status": 200,
                    "headers": { "Cache-Control": "no-cache" }, "content_type": "text/plain", "body": "User-agent: *" } },
                "closed": { "prefix": "/closed", "auth": "none", "respond": { "status": 503, "body_file": "items.yaml" } } },
            "telemetry": { "otlp": { "endpoint": "http://[::1]:1/otlp", "sample": "1%" } },
            "modes": { "identity": "enforce", "access": "observe", "lists": "enforce", "waf": "off" },
            "geo": { "country": "./country.mmdb", "asn": "./asn.mmdb" },
            "lists": {
                "office": { "entries": ["127.0.0.0/8", "2001:db8::/32", "NO", "AS64500"], "files": ["./office.txt"] },
                "bad": { "entries": ["198.51.100.0/24"] } },
            "callers": { "allow": ["office"], "deny": ["bad"] },
        }),
        json!({
            "haechi": 1, "workers": 1, "secrets": { "dir": "./secrets" }, "listen": [{ "address": "127.0.0.1:0" }],
            "limits": {
                "head": "16KiB", "headers": 50, "target": "4KiB", "body": "1MiB", "body_memory": "64MiB", "body_in_memory": "128KiB",
                "body_disk": "256MiB", "body_dir": "./bodies", "stream_body": "1GiB", "stream_rate": "2KiB", "websocket_message": "64KiB",
                "streams": 64, "connections": 100, "connections_per_address": 50,
                "timeouts": {
                    "proxy_header": "1s", "tls_handshake": "5s", "first_byte": "5s", "head": "5s", "body": "9s", "idle": "5s",
                    "stream": "1m", "websocket": "1h", "write": "9s", "drain": "1s" },
            },
            "identity": { "customer": { "jwt": { "issuer": "https://id.example", "audience": ["api"], "jwks": "file:keys.json", "leeway": "9s", "dpop": "required", "dpop_nonce": "required" } } },
            "channels": {
                "app": { "when": "claims.client_id in ['ios', 'android']", "max_body": "2KiB" },
                "batch": { "when": "request.path.startsWith('/v1')" } },
            "rules": [{ "name": "app-reads", "when": "channel == 'app' && request.method == 'DELETE'", "then": "deny", "status": 405,
                "detail": "The app deletes nothing." }],
            "waf": { "rules": ["attacks.conf"], "paranoia": 2, "inbound": 7, "outbound": 5, "responses": true, "body": "64KiB", "at_limit": "process_partial",
                "exclusions": [{ "rules": [1], "parameter": "note.*", "reason": "free text" }, { "tags": ["attack-sqli"], "header": "X-Query", "cookie": "q", "reason": "a query language" }] },
            "apis": { "items": {
                "openapi": "./items.yaml", "host": "*.pizza.example", "base_path": "/v1", "scheme": "http", "auth": "none", "compress": "off",
                "rewrite": { "strip_prefix": "/v1", "add_prefix": "/internal", "host": "keep",
                    "path": [{ "pattern": "/items/(?<item>[0-9]+)", "to": "/items/{item}/show" }],
                    "request_headers": { "set": { "X-Tenant": "pizza" }, "add": { "X-Item": "{item}" }, "remove": ["X-Debug"] },
                    "response_headers": { "set": { "Cache-Control": "no-store" }, "add": { "X-Call": "{operation}" }, "remove": ["Server"] } },
                "upstream": upstream(),
                "operations": {
                    "feed": { "upgrade": "websocket", "origins": ["https://www.pizza.example"], "modes": { "identity": "observe" } },
                    "getItem": { "rewrite": { "strip_prefix": "/v1/items", "add_prefix": "/one", "host": "items.example:81",
                        "path": [{ "pattern": "(.*)", "to": "{1}" }],
                        "request_headers": { "set": { "X-Who": "{principal}" }, "add": { "X-Via": "{api}" }, "remove": ["X-Trace"] },
                        "response_headers": { "set": { "X-A": "{client}" }, "add": { "X-B": "{{}}" }, "remove": ["X-C"] } } },
                    "createItem": { "body": "stream", "compress": "public", "validate": { "request": "off" } } },
            } },
            "services": { "legacy": { "upstream": { "urls": ["http://[::1]:1"], "protocol": "http2" }, "auth": ["customer"], "body": "8MiB" } },
            "activation": { "on_change": "nothing", "deal": "address", "guard": {
                "mode": "observe", "window": "30s", "watch": "5m", "least_requests": 9, "server_errors": "2%", "refusals": "9%", "slower": "50%" } },
        }),
    ]
}
