//! The shop's web pages in a real browser, through the gateway.

use std::collections::BTreeSet;
use std::time::Instant;

use haechi_e2e::{Browser, PATIENCE, eventually};

use crate::shop::{Open, open};

#[test]
fn chromium_orders_a_pizza_and_follows_it_to_the_door() {
    let Some(browser) = Browser::open(&["--lang=en-US", "--window-size=1200,1400"]) else { return };
    let Open { gateway, .. } = &open();
    browser.go(&format!("http://{}/", gateway.address()));
    browser.wait("document.querySelectorAll('.card').length === 6");
    // Pictures and styles have come, not only text.
    browser.wait("[...document.images].every(image => image.complete && image.naturalWidth > 0)");
    assert_eq!(browser.value("getComputedStyle(document.querySelector('.cards')).display"), "grid");
    browser.click(".card:nth-child(4) button");
    browser.click(".card:nth-child(4) button");
    assert_eq!(browser.value("document.getElementById('count').textContent"), "2 pizzas");
    browser.click("#checkout");
    browser.wait("document.getElementById('sum')?.textContent === '€22.00'");
    browser.click("#place");
    browser.wait("location.pathname === '/track'");
    let mut states = BTreeSet::new();
    let began = Instant::now();
    while !states.contains("delivered") {
        let state = browser.value("document.getElementById('state')?.dataset.state");
        states.extend(state.as_str().map(str::to_owned));
        assert!(began.elapsed() < PATIENCE, "{states:?}");
    }
    assert!(states.len() > 1, "it is seen to move: {states:?}");
    // In the other language, too.
    browser.go(&format!("http://{}/?lang=ko", gateway.address()));
    browser.wait("document.querySelector('.card h2')?.textContent === '마르게리타'");
    // The page of old flyers leads to the new one, and crawlers are told where not to look.
    browser.go(&format!("http://{}/menu.html?lang=ko", gateway.address()));
    browser.wait("location.pathname === '/' && location.search === '?lang=ko'");
    browser.go(&format!("http://{}/robots.txt", gateway.address()));
    browser.wait("document.body.textContent.includes('Disallow: /order')");
    // Pages and calls took the same way, and none was in anybody's way.
    let mut events = Vec::new();
    eventually("all of it is recorded", || {
        events = gateway.events(10_000);
        let of = |api: &str| events.iter().filter(|event| event["api"] == api).count();
        of("pages") > 10 && of("menu") > 0 && of("delivery") > 1
    });
    let refused: Vec<_> = events.iter().filter(|event| event["outcome"] == "refused").collect();
    assert!(refused.is_empty(), "{refused:?}");
}
