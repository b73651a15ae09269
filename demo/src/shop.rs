//! The services, each on a loopback port of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::data::Data;
use crate::idp::Idp;
use crate::services::{
    accounts, calls, cash, coupons, delivery, events, fraud, functions, kitchen, menu, notifications, orders,
    pages, payments, receipts, replica::Replica, stores, transfers, wallet,
};

/// The shop, open. Closes when dropped.
pub struct Shop {
    /// Where each service is, by the first word of its paths.
    services: BTreeMap<&'static str, SocketAddr>,
    /// Where the second instance of the stores is, and what it reads from.
    second: SocketAddr,
    replica: Replica,
    pub(crate) data: Data,
    pub(crate) idp: Idp,
    tasks: Vec<JoinHandle<()>>,
}

/// The service of every path that is no other's: the web pages.
pub(crate) const PAGES: &str = "pages";

// === impl Shop ===

impl Shop {
    /// Opens the shop, with its data in `dir`.
    ///
    /// # Errors
    /// When a port, a file or a key cannot be had.
    pub async fn open(dir: &Path) -> io::Result<Self> {
        let data = Data::open(&dir.join("shop.db")).map_err(io::Error::other)?;
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let idp = Idp::new(format!("http://{}", door.local_addr()?), "shop-1").map_err(io::Error::other)?;
        let second = TcpListener::bind("127.0.0.1:0").await?;
        let replica = Replica::default();
        let mut shop = Self {
            services: BTreeMap::new(),
            second: second.local_addr()?,
            replica: replica.clone(),
            data: data.clone(),
            idp,
            tasks: Vec::new(),
        };
        let known = |routes: fn(Data) -> Router| routes(data.clone());
        shop.attend(second, replica.under(known(stores::routes)));
        shop.serve("accounts", door, accounts::routes(data.clone(), shop.idp.clone()))?;
        for (name, routes) in [
            ("calls", known(calls::routes)),
            ("cash", known(cash::routes)),
            ("coupons", known(coupons::routes)),
            ("delivery", known(delivery::routes)),
            ("events", known(events::routes)),
            ("fraud", known(fraud::routes)),
            ("functions", functions::routes()),
            ("menu", known(menu::routes)),
            ("notifications", known(notifications::routes)),
            ("orders", known(orders::routes)),
            ("payments", known(payments::routes)),
            ("stores", known(stores::routes)),
            ("transfers", known(transfers::routes)),
            ("wallet", known(wallet::routes)),
            (PAGES, known(pages::routes)),
        ] {
            shop.serve(name, TcpListener::bind("127.0.0.1:0").await?, routes)?;
        }
        let old = TcpListener::bind("127.0.0.1:0").await?;
        shop.services.insert("receipts", old.local_addr()?);
        shop.tasks.push(tokio::spawn(receipts::serve(old, data.clone())));
        shop.tasks.push(tokio::spawn(kitchen::work(data)));
        Ok(shop)
    }

    /// A token of a customer, as the shop gives it to a client after sign-in.
    pub fn token(&self, customer: usize, client: &str) -> String {
        self.idp.token(&crate::data::customer(customer).0, client)
    }

    /// Where a service is.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.services.get(name).copied()
    }

    /// Where all instances of a service are.
    pub(crate) fn instances(&self, name: &str) -> Vec<SocketAddr> {
        let second = (name == "stores").then_some(self.second);
        self.address(name).into_iter().chain(second).collect()
    }

    /// From now on the second instance of the stores is away now and then.
    pub(crate) fn falter(&self) -> JoinHandle<()> {
        tokio::spawn(self.replica.clone().flap())
    }

    /// How often it was away.
    pub(crate) fn faltered(&self) -> u64 {
        self.replica.times()
    }

    fn serve(&mut self, name: &'static str, listener: TcpListener, routes: Router) -> io::Result<()> {
        self.services.insert(name, listener.local_addr()?);
        self.attend(listener, routes);
        Ok(())
    }

    fn attend(&mut self, listener: TcpListener, routes: Router) {
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

/// The service that a path belongs to.
pub(crate) fn service_of(path: &str) -> &str {
    let first = path.trim_start_matches('/').split(['/', '?', ';']).next().unwrap_or_default();
    let known = crate::config::FILES.iter().any(|(file, _)| file.strip_suffix(".yaml") == Some(first));
    if known { first } else { PAGES }
}
