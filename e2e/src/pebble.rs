//! A certificate authority: Pebble, the ACME server that Let's Encrypt tests clients with.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::PATIENCE;

/// A running Pebble, and the DNS server it asks, which says 127.0.0.1 to everything. Killed when dropped.
pub struct Pebble {
    processes: Vec<Child>,
    dir: TempDir,
    address: SocketAddr,
    management: SocketAddr,
    dns: SocketAddr,
    api: SocketAddr,
}

/// What a Pebble is to be like.
#[derive(Clone)]
pub struct PebbleOptions {
    /// Where it validates over TLS, and over HTTP.
    pub validates: (u16, u16),
    /// How long its certificates are valid, in seconds.
    pub validity: u64,
    /// Whether it refuses everybody who has no account elsewhere.
    pub refuses: bool,
    /// Where it listens; any free port if not set.
    pub address: Option<SocketAddr>,
}

impl Pebble {
    /// Starts it.
    pub fn start(options: &PebbleOptions) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let address = options.address.unwrap_or_else(free);
        let (management, dns, api) = (free(), free(), free());
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        write("ca.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": address.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": dir.path().join("ca.pem"),
            "privateKey": dir.path().join("key.pem"),
            "tlsPort": options.validates.0,
            "httpPort": options.validates.1,
            "certificateValidityPeriod": options.validity,
            "externalAccountBindingRequired": options.refuses,
            "externalAccountMACKeys": {},
        } });
        write("pebble.json", &config.to_string());
        let mut pebble = Self { processes: Vec::new(), dir, address, management, dns, api };
        pebble.begin();
        pebble
    }

    fn begin(&mut self) {
        let (dns, api) = (self.dns.to_string(), self.api.to_string());
        let mut start = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // No pauses before validations. It rejects one nonce in twenty all the same, as real servers do.
            command.env("PEBBLE_VA_NOSLEEP", "1");
            self.processes.push(command.spawn().expect("it starts"));
        };
        let none = ["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""];
        start("pebble-challtestsrv", &[&["-dns01", &dns, "-management", &api][..], &none].concat());
        let file = self.dir.path().join("pebble.json").display().to_string();
        start("pebble", &["-config", &file, "-dnsserver", &dns]);
        let begin = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(begin.elapsed() < PATIENCE, "pebble does not listen");
            std::thread::yield_now();
        }
    }

    fn end(&mut self) {
        for mut process in self.processes.drain(..) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Ends its processes; its files stay.
    pub fn processes_ended(mut self) -> Self {
        self.end();
        self
    }

    /// Starts it once more where it was, with a new memory.
    pub fn again(mut self) -> Self {
        self.end();
        self.begin();
        self
    }

    /// Its directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// The authority of its own certificate, in PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of the certificates it issues, in PEM; another one after each start.
    pub fn root(&self) -> PathBuf {
        let file = self.dir.path().join("root.pem");
        let url = format!("https://{}/roots/0", self.management);
        let begin = Instant::now();
        loop {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--insecure", "--output"]).arg(&file).arg(&url);
            if curl.status().expect("curl runs").success() {
                return file;
            }
            assert!(begin.elapsed() < PATIENCE, "pebble has no root");
        }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.end();
    }
}

/// An address nobody listens on at this moment.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}
