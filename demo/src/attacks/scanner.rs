//! A tool that asks for everything that is left lying about: backups, settings, version control, doors of well-known programs.

use http::Method;

use super::Attacker;

pub(crate) async fn run(mut attacker: Attacker) {
    let mut named = attacker.client(11, "nuclei/3.3");
    // It does not have to say what it is.
    let mut quiet = attacker.client(11, "curl/8.9");
    loop {
        for path in [
            "/.git/config",
            "/.env",
            "/backup.sql",
            "/backup%2Esql",
            "/./backup.sql?download=1",
            "/phpmyadmin/",
            "/wp-login.php",
        ] {
            if attacker.pause(150).await {
                return;
            }
            attacker.send(&mut named, Method::GET, path, "").await;
            attacker.send(&mut quiet, Method::GET, path, "").await;
        }
    }
}
