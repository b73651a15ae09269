//! A real browser: Chromium, without a window, driven over WebDriver (W3C) as a person would use it.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::{PATIENCE, Raw, have};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page. Closed when dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Kept open: the driver ends when it can say nothing more.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Opens one with these options; nothing if it is not installed, and it says so.
    pub fn open(options: &[&str]) -> Option<Self> {
        if !have("chromedriver") || !have("chromium") {
            return None;
        }
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        // "ChromeDriver was started successfully on port 12345."
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver says where it listens");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut browser = Self { driver, address, session: String::new(), _stdout: lines };
        let arguments: Vec<&str> = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            .iter()
            .chain(options)
            .copied()
            .collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments },
        } } });
        let session = browser.post("/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    /// Goes to an address.
    pub fn go(&self, url: &str) {
        self.post(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// Clicks on the first element that a CSS selector finds, once there is one.
    pub fn click(&self, selector: &str) {
        let find = json!({ "using": "css selector", "value": selector });
        let began = Instant::now();
        loop {
            let path = format!("{}/element", self.session);
            let found = self.ask("POST", &path, &find.to_string());
            if let Some(element) = found[ELEMENT].as_str() {
                self.post(&format!("{path}/{element}/click"), &json!({}));
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no `{selector}`: {found}");
        }
    }

    /// The value of an expression of JavaScript.
    pub fn value(&self, expression: &str) -> Value {
        let script = json!({ "script": format!("return {expression}"), "args": [] });
        self.post(&format!("{}/execute/sync", self.session), &script)
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let began = Instant::now();
        while self.value(expression) != true {
            let seen = self.value("document.body ? document.body.innerText : ''");
            assert!(began.elapsed() < PATIENCE, "`{expression}` does not come true: {seen}");
        }
    }

    /// What it shows, as base64 of a PNG.
    pub fn picture(&self) -> String {
        let shown = self.ask("GET", &format!("{}/screenshot", self.session), "");
        shown.as_str().expect("a picture").to_owned()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let value = self.ask("POST", path, &body.to_string());
        assert!(value["error"].is_null(), "{path} {body}: {value}");
        value
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let response = Raw::connect(self.address).send(request.as_bytes()).response().expect("an answer");
        let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends the browser too; killing the driver alone would leave it.
            let request = format!("DELETE {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.session, self.address);
            let _ = Raw::connect(self.address).send(request.as_bytes()).response();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
