//! The shop's data: what attackers want, and where it is seen whether they got it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

/// The shop's database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Data {
    connection: Arc<Mutex<Connection>>,
}

const SCHEMA: &str = "
    CREATE TABLE pizzas (id INTEGER PRIMARY KEY, name TEXT NOT NULL, korean TEXT NOT NULL, price REAL NOT NULL,
        limited INTEGER NOT NULL);
    CREATE TABLE stores (id INTEGER PRIMARY KEY, name TEXT NOT NULL, korean TEXT NOT NULL, district TEXT NOT NULL);
    CREATE TABLE stock (store INTEGER NOT NULL, pizza INTEGER NOT NULL, portions INTEGER NOT NULL,
        PRIMARY KEY (store, pizza));
    CREATE TABLE customers (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, password TEXT NOT NULL, name TEXT NOT NULL,
        phone TEXT, role TEXT NOT NULL DEFAULT 'customer', wallet REAL NOT NULL DEFAULT 100);
    CREATE TABLE refreshing (token TEXT PRIMARY KEY, customer TEXT NOT NULL, client TEXT NOT NULL);
    CREATE TABLE devices (device_code TEXT PRIMARY KEY, user_code TEXT UNIQUE NOT NULL, client TEXT NOT NULL,
        customer TEXT);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL, state TEXT NOT NULL,
        note TEXT, idempotency TEXT UNIQUE, since_ms INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX orders_by_state ON orders (state);
    CREATE TABLE holds (customer TEXT NOT NULL, pizza INTEGER NOT NULL, at_ms INTEGER NOT NULL);
    CREATE TABLE payments (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, amount REAL NOT NULL, method TEXT NOT NULL);
    CREATE TABLE transfers (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, amount REAL NOT NULL, bank TEXT NOT NULL,
        since_ms INTEGER NOT NULL);
    CREATE TABLE counts (till INTEGER NOT NULL, counted REAL NOT NULL, difference REAL NOT NULL);
    CREATE TABLE settlements (id INTEGER PRIMARY KEY, note TEXT NOT NULL, records INTEGER NOT NULL);
    CREATE TABLE deliveries (id INTEGER PRIMARY KEY, order_id INTEGER UNIQUE NOT NULL, district TEXT NOT NULL);
    CREATE TABLE coupons (code TEXT PRIMARY KEY, customer TEXT NOT NULL, percent INTEGER NOT NULL, used INTEGER NOT NULL);
    CREATE TABLE subscriptions (customer TEXT NOT NULL, platform TEXT NOT NULL, token TEXT NOT NULL,
        PRIMARY KEY (customer, platform));
    CREATE TABLE messages (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, text TEXT NOT NULL);
    CREATE INDEX messages_by_customer ON messages (customer);
    CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, customer TEXT NOT NULL, value REAL NOT NULL);
    CREATE TABLE calls (id TEXT PRIMARY KEY, caller TEXT NOT NULL, state TEXT NOT NULL, transcript TEXT);
    CREATE TABLE receipts (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL);
    CREATE TABLE downloads (id INTEGER PRIMARY KEY, file TEXT NOT NULL);
    INSERT INTO pizzas (name, korean, price, limited) VALUES ('Margherita', '마르게리타', 7.5, 0),
        ('Marinara', '마리나라', 6.0, 0), ('Diavola', '디아볼라', 9.5, 0), ('Bulgogi', '불고기', 11.0, 0),
        ('Potato', '포테이토', 10.0, 0), ('Truffle', '트러플', 24.0, 1);
    INSERT INTO stores (name, korean, district) VALUES ('Mapo', '마포점', 'mapo'), ('Gangnam', '강남점', 'gangnam'),
        ('Jongno', '종로점', 'jongno'), ('Songpa', '송파점', 'songpa');
    INSERT INTO stock SELECT stores.id, pizzas.id, 6 FROM stores, pizzas;
";

// === impl Data ===

impl Data {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        // The shop is thrown away after the show.
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        for number in 0..CUSTOMERS {
            let (id, email) = customer(number);
            let password = password(number);
            connection.execute(
                "INSERT INTO customers (id, email, password, name) VALUES (?1, ?2, ?3, ?4)",
                (&id, email, password, format!("Customer {number}")),
            )?;
            // FLAW: codes are counted up (enumeration, API4:2023).
            connection.execute(
                "INSERT INTO coupons (code, customer, percent, used) VALUES (?1, ?2, 10, 0)",
                (format!("PIZZA-{:05}", 10_000 + number), id),
            )?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of pizzas that hold a text.
    pub(crate) fn names_like(&self, text: &str) -> rusqlite::Result<Vec<String>> {
        let connection = self.lock();
        let sql = "SELECT name || ' · ' || korean FROM pizzas WHERE instr(lower(name || korean), lower(?1))";
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_map([text], |row| row.get(0))?.collect()
    }

    /// One number of the shop's data; 0 if there is none.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let number = self.lock().query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        number.ok().flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
    }
}

/// How many customers the shop has.
pub(crate) const CUSTOMERS: usize = 60;

/// The customer whose credentials the attackers have stolen.
pub(crate) const STOLEN: usize = 59;

/// Id and address of a customer.
pub(crate) fn customer(number: usize) -> (String, String) {
    (format!("c{number:03}"), format!("customer{number}@pizza.example"))
}

/// A customer's password.
pub(crate) fn password(number: usize) -> String {
    format!("pepperoni-{number}")
}
