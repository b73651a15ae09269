//! The configuration the demo runs the gateway with.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::shop::{PAGES, Shop};

/// The shop's contracts: file name and text. The name is the API's, and the first word of its paths.
pub const FILES: [(&str, &str); 16] = [
    ("accounts.yaml", include_str!("../specs/accounts.yaml")),
    ("calls.yaml", include_str!("../specs/calls.yaml")),
    ("cash.yaml", include_str!("../specs/cash.yaml")),
    ("coupons.yaml", include_str!("../specs/coupons.yaml")),
    ("delivery.yaml", include_str!("../specs/delivery.yaml")),
    ("events.yaml", include_str!("../specs/events.yaml")),
    ("fraud.yaml", include_str!("../specs/fraud.yaml")),
    ("functions.yaml", include_str!("../specs/functions.yaml")),
    ("menu.yaml", include_str!("../specs/menu.yaml")),
    ("notifications.yaml", include_str!("../specs/notifications.yaml")),
    ("orders.yaml", include_str!("../specs/orders.yaml")),
    ("payments.yaml", include_str!("../specs/payments.yaml")),
    ("receipts.yaml", include_str!("../specs/receipts.yaml")),
    ("stores.yaml", include_str!("../specs/stores.yaml")),
    ("transfers.yaml", include_str!("../specs/transfers.yaml")),
    ("wallet.yaml", include_str!("../specs/wallet.yaml")),
];

/// Whom an API serves, and how it is guarded beyond that: what stands under its name in `haechi.yaml`.
const APIS: [(&str, &str); 16] = [
    (
        "accounts",
        "auth: [customer]
    plan: default
    operations:
      signIn: { auth: none, plan: sign-in, body: 4KiB }
      refreshToken: { auth: none, plan: sign-in, body: 4KiB }
      authorizeDevice: { auth: none, plan: sign-in, body: 4KiB }
      deviceToken: { auth: none, plan: sign-in, body: 4KiB }",
    ),
    (
        "calls",
        "auth: [voice]
    plan: { default: default, voice: devices }
    operations:
      nextCall: { auth: [customer] }
      getTranscript: { auth: [voice, customer] }",
    ),
    ("cash", "auth: [kiosk]\n    plan: devices"),
    ("coupons", "auth: [customer]\n    plan: default"),
    (
        "delivery",
        "auth: [customer, kiosk, messenger]
    plan: { default: default, kiosk: devices, messenger: devices }
    operations:
      quoteDelivery: { auth: none, plan: browse }
      trackLive: { upgrade: websocket }",
    ),
    (
        "events",
        "auth: [customer, kiosk, messenger]\n    plan: { default: default, kiosk: devices, messenger: devices }",
    ),
    (
        "fraud",
        "auth: [customer, kiosk, messenger]\n    plan: { default: default, kiosk: devices, messenger: devices }",
    ),
    (
        "functions",
        "auth: [customer, kiosk, messenger]\n    plan: { default: default, kiosk: devices, messenger: devices }",
    ),
    ("menu", "auth: none\n    plan: browse\n    validate: { response: observe }"),
    (
        "notifications",
        "auth: [customer, messenger]
    plan: { default: default, kiosk: devices, messenger: devices }
    operations:
      sendMessage: { auth: [kiosk, customer] }",
    ),
    (
        "orders",
        "auth: [customer]
    plan: { default: default, partner: partners, kiosk: devices, messenger: devices }
    validate: { response: observe }
    operations:
      listOrders: { auth: [partner] }
      createOrder: { auth: [customer, kiosk, messenger] }
      getOrder: { auth: [customer, kiosk, messenger] }",
    ),
    (
        "payments",
        "auth: [customer, messenger]
    plan: { default: default, partner: partners, messenger: devices }
    operations:
      # A night's batch has more members than rules look at; its contract names each.
      settleBatch: { auth: [partner], body: 2MiB, modes: { waf: observe } }",
    ),
    ("receipts", "auth: none\n    plan: browse"),
    ("stores", "auth: none\n    plan: browse\n    validate: { response: observe }"),
    ("transfers", "auth: [customer, messenger]\n    plan: { default: default, messenger: devices }"),
    ("wallet", "auth: [customer]\n    plan: default"),
];

/// The `haechi.yaml` of a gateway in front of `shop` that listens on `listen`, and for TLS beside it.
pub fn config_yaml(shop: &Shop, listen: SocketAddr) -> String {
    let issuer = &shop.idp.issuer;
    let beside = SocketAddr::new(listen.ip(), 0);
    let mut yaml = format!(
        r#"# The pizza shop, guarded.
haechi: 1
listen:
  - address: "{listen}"
  - address: "{beside}"
    tls: {{ cert: file:tls.pem, key: file:tls.key }}
identity:
  customer: {{ jwt: {{ issuer: "{issuer}", audience: pizza-api, jwks: "{issuer}/jwks.json", algorithms: [ES256], leeway: 1s }} }}
  partner: {{ api_key: {{ header: X-Api-Key, collection: delivery-partners }} }}
  kiosk: {{ api_key: {{ header: X-Api-Key, collection: kiosks }} }}
  messenger: {{ api_key: {{ header: X-Api-Key, collection: messenger-bots }} }}
  voice: {{ api_key: {{ header: X-Api-Key, collection: voice-providers }} }}
plans:
  browse: {{ rate: 100/s, burst: 200, per: address }}
  default: {{ rate: 6/s, burst: 20, per: principal }}
  devices: {{ rate: 40/s, burst: 80, per: credential }}
  partners: {{ rate: 20/s, burst: 40, per: credential }}
  sign-in: {{ rate: 5/s, burst: 20, per: address }}
waf: {{ rules: [builtin] }}
modes: {{ waf: enforce }}
channels:
  app: {{ when: "principal.client in ['ios', 'android'] || request.headers['user-agent'].startsWith('PizzaShop/')" }}
  speaker: {{ when: "principal.client == 'ai-speaker' || request.headers['user-agent'].startsWith('aispeaker/')" }}
  tv: {{ when: "principal.client == 'tv' || request.headers['user-agent'].contains('PizzaTV/')" }}
  watch: {{ when: "principal.client == 'watch' || request.headers['user-agent'].startsWith('PizzaWatch/')" }}
  call-centre: {{ when: "principal.client == 'call-centre' || request.headers['user-agent'].startsWith('AgentDesktop/')" }}
  messenger: {{ when: "principal.collection == 'messenger-bots' || request.headers['user-agent'].startsWith('order-bot/')" }}
  kiosk: {{ when: "principal.collection == 'kiosks' || request.headers['user-agent'].startsWith('PizzaKiosk/')" }}
  voice: {{ when: "principal.collection == 'voice-providers'" }}
  partner: {{ when: "principal.collection == 'delivery-partners'" }}
  web: {{ when: "principal.client == 'web' || request.headers['user-agent'].startsWith('Mozilla/')" }}
apis:
"#
    );
    for (name, guarded) in APIS {
        let urls: Vec<_> =
            shop.instances(name).iter().map(|instance| format!("\"http://{instance}\"")).collect();
        let (urls, patience) = (urls.join(", "), patience(name));
        let _ = write!(
            yaml,
            "  {name}:\n    openapi: ./{name}.yaml\n    upstream: {{ urls: [{urls}], {patience} }}\n    {guarded}\n"
        );
    }
    if let Some(upstream) = shop.address(PAGES) {
        let _ = write!(
            yaml,
            "services:\n  {PAGES}:\n    upstream: {{ urls: [\"http://{upstream}\"], timeout: 5s }}\n    auth: none\n    plan: browse\n    methods: [GET, HEAD]\n{BESIDE_PAGES}"
        );
    }
    yaml
}

/// What the gateway answers itself: what crawlers ask for, and a page that old flyers still name.
const BESIDE_PAGES: &str = r#"  robots:
    path: /robots.txt
    auth: none
    plan: browse
    respond: { status: 200, body: "User-agent: *\nDisallow: /order\n" }
  flyer:
    path: /menu.html
    auth: none
    plan: browse
    redirect: { to: /, status: 301 }
"#;

/// How a service is called, and what happens when it fails.
fn patience(name: &str) -> &'static str {
    match name {
        // Cold, it takes most of a second, and more where the machine is busy.
        "functions" => "timeout: 8s, try_timeout: 4s",
        // Many small calls at once: they share a connection.
        "notifications" => "timeout: 5s, protocol: http2",
        // Everybody needs it. When it is down, it is let alone until it is up, and callers are told so at once.
        "orders" => "timeout: 5s, breaker: { failures: 50%, open: 2s }",
        // One of two is away now and then: what was read from it is read from the other, and soon it is not asked at all.
        "stores" => {
            "timeout: 5s, try_timeout: 2s,
      retries: { on: [reset, timeout, 503] }, ejection: { failures: 3, for: 1s, longest: 4s },
      health: { path: /healthz, interval: 1s, unhealthy: 2 }"
        }
        _ => "timeout: 5s",
    }
}

/// Writes configuration, contracts and a certificate into `dir`; the certificate.
pub(crate) fn write(dir: &Path, shop: &Shop, listen: SocketAddr) -> std::io::Result<Vec<u8>> {
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text)?;
    }
    let certificate = tls(dir)?;
    std::fs::write(dir.join("haechi.yaml"), config_yaml(shop, listen))?;
    Ok(certificate)
}

/// Writes the certificate `tls.pem` and its key `tls.key`, which the configuration names; the certificate.
///
/// # Errors
/// When they cannot be made or written.
pub fn tls(dir: &Path) -> std::io::Result<Vec<u8>> {
    let names = vec!["api.pizza.example".to_owned(), "www.pizza.example".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(std::io::Error::other)?;
    std::fs::write(dir.join("tls.pem"), made.cert.pem())?;
    let key = dir.join("tls.key");
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600))?;
    Ok(made.cert.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_is_guarded() {
        let files = FILES.map(|(file, _)| file.trim_end_matches(".yaml"));
        assert_eq!(files, APIS.map(|(name, _)| name));
    }
}
