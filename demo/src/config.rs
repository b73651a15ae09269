//! The configuration the demo runs the gateway with.

use std::net::SocketAddr;
use std::path::Path;

use crate::shop::Shop;

/// The shop's contracts: file name and text.
pub const FILES: [(&str, &str); 5] = [
    ("menu.yaml", include_str!("../specs/menu.yaml")),
    ("orders.yaml", include_str!("../specs/orders.yaml")),
    ("accounts.yaml", include_str!("../specs/accounts.yaml")),
    ("payments.yaml", include_str!("../specs/payments.yaml")),
    ("receipts.yaml", include_str!("../specs/receipts.yaml")),
];

/// The `haechi.yaml` of a gateway in front of `shop` that listens on `listen`.
pub fn config_yaml(shop: &Shop, listen: SocketAddr) -> String {
    let Shop { menu, orders, accounts, payments, receipts, idp, .. } = shop;
    let issuer = &idp.issuer;
    format!(
        r#"# The pizza shop, guarded.
haechi: 1
listen:
  - address: "{listen}"
identity:
  customer: {{ jwt: {{ issuer: "{issuer}", audience: pizza-api, jwks: "{issuer}/jwks.json", algorithms: [ES256] }} }}
  partner: {{ api_key: {{ header: X-Api-Key, collection: delivery-partners }} }}
plans:
  browse: {{ rate: 100/s, burst: 200, per: address }}
  default: {{ rate: 6/s, burst: 20, per: principal }}
  partners: {{ rate: 20/s, burst: 40, per: credential }}
  sign-in: {{ rate: 5/s, burst: 20, per: address }}
apis:
  menu:
    openapi: ./menu.yaml
    upstream: {{ urls: ["http://{menu}"], timeout: 5s }}
    auth: none
    plan: browse
    validate: {{ response: observe }}
  orders:
    openapi: ./orders.yaml
    upstream: {{ urls: ["http://{orders}"], timeout: 5s }}
    auth: [customer]
    plan: {{ default: default, partner: partners }}
    validate: {{ response: observe }}
    operations:
      listOrders: {{ auth: [partner] }}
  accounts:
    openapi: ./accounts.yaml
    upstream: {{ urls: ["http://{accounts}"], timeout: 5s }}
    auth: [customer]
    plan: default
    operations:
      signIn: {{ auth: none, plan: sign-in, body: 4KiB }}
  payments:
    openapi: ./payments.yaml
    upstream: {{ urls: ["http://{payments}"], timeout: 5s }}
    auth: [customer]
    plan: {{ default: default, partner: partners }}
    operations:
      settleBatch: {{ auth: [partner], body: 2MiB }}
  receipts:
    openapi: ./receipts.yaml
    upstream: {{ urls: ["http://{receipts}"], timeout: 5s }}
    auth: none
    plan: browse
"#
    )
}

/// Writes configuration and contracts into `dir`.
pub(crate) fn write(dir: &Path, shop: &Shop, listen: SocketAddr) -> std::io::Result<()> {
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text)?;
    }
    std::fs::write(dir.join("haechi.yaml"), config_yaml(shop, listen))
}
