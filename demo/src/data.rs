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
    CREATE TABLE pizzas (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, limited INTEGER NOT NULL);
    CREATE TABLE customers (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, password TEXT NOT NULL, name TEXT NOT NULL,
        phone TEXT, role TEXT NOT NULL DEFAULT 'customer');
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL, state TEXT NOT NULL,
        note TEXT);
    CREATE TABLE holds (customer TEXT NOT NULL, pizza INTEGER NOT NULL, at_ms INTEGER NOT NULL);
    CREATE TABLE payments (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, amount REAL NOT NULL, method TEXT NOT NULL);
    CREATE TABLE settlements (id INTEGER PRIMARY KEY, note TEXT NOT NULL, records INTEGER NOT NULL);
    CREATE TABLE receipts (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL);
    INSERT INTO pizzas (name, price, limited) VALUES ('Margherita', 7.5, 0), ('Marinara', 6.0, 0), ('Diavola', 9.5, 0),
        ('Bulgogi', 11.0, 0), ('Potato', 10.0, 0), ('Truffle', 24.0, 1);
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
                (id, email, password, format!("Customer {number}")),
            )?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One number of the shop's data; 0 if there is none.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let number = self.lock().query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        number.ok().flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
    }
}

/// How many customers the shop has.
pub(crate) const CUSTOMERS: usize = 40;

/// The customer whose credentials the attackers have stolen.
pub(crate) const STOLEN: usize = 39;

/// Id and address of a customer.
pub(crate) fn customer(number: usize) -> (String, String) {
    (format!("c{number:03}"), format!("customer{number}@pizza.example"))
}

/// A customer's password.
pub(crate) fn password(number: usize) -> String {
    format!("pepperoni-{number}")
}
