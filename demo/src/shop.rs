//! The services, each on a loopback port of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::data::Data;
use crate::idp::Idp;
use crate::services::{accounts, menu, orders, payments, receipts};

/// The shop, open. Closes when dropped.
pub struct Shop {
    /// Where the menu is served.
    pub menu: SocketAddr,
    /// Where orders are served.
    pub orders: SocketAddr,
    /// Where accounts, and the identity provider's keys (`/jwks.json`), are served.
    pub accounts: SocketAddr,
    /// Where payments are served.
    pub payments: SocketAddr,
    /// Where the lenient old server is.
    pub receipts: SocketAddr,
    pub(crate) data: Data,
    pub(crate) idp: Idp,
    tasks: Vec<JoinHandle<()>>,
}

// === impl Shop ===

impl Shop {
    /// Opens the shop, with its data in `dir`.
    ///
    /// # Errors
    /// When a port, a file or a key cannot be had.
    pub async fn open(dir: &Path) -> io::Result<Self> {
        let data = Data::open(&dir.join("shop.db")).map_err(io::Error::other)?;
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (menu, orders, accounts, payments, receipts) =
            (bind().await?, bind().await?, bind().await?, bind().await?, bind().await?);
        let idp =
            Idp::new(format!("http://{}", accounts.local_addr()?), "shop-1").map_err(io::Error::other)?;
        let mut shop = Self {
            menu: menu.local_addr()?,
            orders: orders.local_addr()?,
            accounts: accounts.local_addr()?,
            payments: payments.local_addr()?,
            receipts: receipts.local_addr()?,
            data: data.clone(),
            idp: idp.clone(),
            tasks: Vec::new(),
        };
        shop.serve(menu, menu::routes(data.clone()));
        shop.serve(orders, orders::routes(data.clone()));
        shop.serve(accounts, accounts::routes(data.clone(), idp));
        shop.serve(payments, payments::routes(data.clone()));
        shop.tasks.push(tokio::spawn(receipts::serve(receipts, data)));
        Ok(shop)
    }

    /// A token of a customer, as the shop gives it after sign-in.
    pub fn token(&self, customer: usize) -> String {
        self.idp.token(&crate::data::customer(customer).0)
    }

    /// The service behind a path.
    pub(crate) fn service(&self, path: &str) -> Option<SocketAddr> {
        let first = path.trim_start_matches('/').split(['/', '?', ';']).next()?;
        Some(match first {
            "menu" => self.menu,
            "orders" => self.orders,
            "accounts" => self.accounts,
            "payments" => self.payments,
            "receipts" => self.receipts,
            _ => return None,
        })
    }

    fn serve(&mut self, listener: TcpListener, routes: Router) {
        self.tasks.push(tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        }));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
