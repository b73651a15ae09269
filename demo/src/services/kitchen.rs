//! What happens behind the counter: pizzas are baked, carried and eaten, stores get new dough. Time is a parameter.

use std::time::Duration;

use super::now_ms;
use crate::data::Data;

/// How often the kitchen looks up.
const EVERY: Duration = Duration::from_millis(250);
/// How long a paid order waits for the oven, is baked, and is carried. The shop's day is short.
const STEPS: [(&str, &str, i64); 3] =
    [("paid", "baking", 1_500), ("baking", "delivering", 2_000), ("delivering", "delivered", 4_000)];
/// How often stores get new dough: every so many looks.
const RESTOCK: u64 = 16;
/// Rows that are kept of what only grows, so that a show without an end fills no disk.
const KEPT: i64 = 20_000;

/// Works until it is dropped (its task is aborted).
pub(crate) async fn work(data: Data) {
    let mut every = tokio::time::interval(EVERY);
    for look in 0u64.. {
        every.tick().await;
        step(&data, now_ms());
        if look.is_multiple_of(RESTOCK) {
            restock(&data);
            sweep(&data);
        }
    }
}

/// Moves every order on whose time has come; the last step first, so that none takes two at once.
fn step(data: &Data, now: i64) {
    let connection = data.lock();
    for (from, to, after) in STEPS.iter().rev() {
        let sql = "UPDATE orders SET state = ?2, since_ms = ?3 WHERE state = ?1 AND since_ms <= ?3 - ?4";
        let _ = connection.execute(sql, (from, to, now, after));
    }
}

fn restock(data: &Data) {
    let _ = data.lock().execute("UPDATE stock SET portions = 6", []);
}

fn sweep(data: &Data) {
    let connection = data.lock();
    for table in ["orders", "messages", "events", "payments", "transfers", "deliveries"] {
        let sql = format!("DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - {KEPT}");
        let _ = connection.execute(&sql, []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_baked_carried_and_eaten_in_its_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = Data::open(&dir.path().join("shop.db")).expect("the data");
        let sql = "INSERT INTO orders (customer, total, state, since_ms) VALUES ('c001', 9.5, 'paid', 1000)";
        data.lock().execute(sql, []).expect("an order");
        let state = |now| {
            step(&data, now);
            data.lock().query_row("SELECT state FROM orders", [], |row| row.get::<_, String>(0)).expect("one")
        };
        let seen = [2_499, 2_500, 4_499, 4_500, 8_499, 8_500, 99_000].map(state);
        assert_eq!(seen, ["paid", "baking", "baking", "delivering", "delivering", "delivered", "delivered"]);
    }
}
