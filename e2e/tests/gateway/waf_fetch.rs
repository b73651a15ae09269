//! Releases of rule sets, from a server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use haechi_e2e::{binary, run};

/// Answers by path, one connection each: `/elsewhere` points to `/archive`. Ends with the test's process.
fn serve(answers: impl FnOnce(SocketAddr) -> Vec<(&'static str, Vec<u8>)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answers = answers(address);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let (line, body): (String, &[u8]) = match answers.iter().find(|(known, _)| *known == path) {
                _ if path == "/elsewhere" => {
                    (format!("302 Found\r\nLocation: http://{address}/archive"), b"")
                }
                Some((_, body)) => ("200 OK".to_owned(), body),
                None => ("404 Not Found".to_owned(), b""),
            };
            let length = body.len();
            let _ =
                write!(stream, "HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(body);
        }
    });
    address
}

/// An archive as a release has it, and its checksum.
fn archive(dir: &Path) -> (Vec<u8>, String) {
    let top = dir.join("coreruleset-4.0.0");
    std::fs::create_dir_all(top.join("rules")).expect("folders");
    std::fs::write(top.join("crs-setup.conf.example"), "# nothing\n").expect("written");
    let rule = "SecRule ARGS:q \"@streq bad\" \"id:1,phase:2,deny,msg:'fetched'\"\n";
    std::fs::write(top.join("rules/a.conf"), rule).expect("written");
    run(Command::new("tar").args(["czf", "a.tar.gz", "coreruleset-4.0.0"]).current_dir(dir));
    let told = run(Command::new("sha256sum").arg("a.tar.gz").current_dir(dir));
    let archive = std::fs::read(dir.join("a.tar.gz")).expect("the archive");
    (archive, told.split(' ').next().unwrap_or_default().to_owned())
}

fn release(address: SocketAddr, path: &str, digest: &str) -> Vec<u8> {
    let url = format!("http://{address}{path}");
    let asset = format!(
        r#"{{"name":"coreruleset-4.0.0-minimal.tar.gz","browser_download_url":"{url}","digest":{digest}}}"#
    );
    format!(r#"{{"tag_name":"v4.0.0","assets":[{{"name":"a.asc","browser_download_url":"{url}","digest":null}},{asset}]}}"#)
        .into_bytes()
}

fn fetch(dir: &Path, from: &str, more: &[&str]) -> Output {
    let arguments = ["waf", "fetch", "crs@4.0.0", "--from", from];
    Command::new(binary()).args(arguments).args(more).current_dir(dir).output().expect("haechi runs")
}

#[test]
fn a_release_is_unpacked_if_its_checksum_is_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let (archive, digest) = archive(dir.path());
    let right = format!("\"sha256:{digest}\"");
    let wrong = format!("\"sha256:{}\"", "0".repeat(64));
    let address = serve(|address| {
        vec![
            ("/archive", archive),
            ("/right/v4.0.0", release(address, "/elsewhere", &right)),
            ("/wrong/v4.0.0", release(address, "/archive", &wrong)),
            ("/none/v4.0.0", release(address, "/archive", "null")),
        ]
    });
    let from = |what: &str| format!("http://{address}/{what}");
    let fails = |from: &str, more: &[&str], why: &str| {
        let output = fetch(dir.path(), from, more);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(why), "`{why}` in {told}");
        assert!(!dir.path().join("crs-4.0.0").exists(), "{why}: something was unpacked");
    };
    fails(&from("wrong"), &[], "it is not unpacked");
    fails(&from("none"), &[], "tells no checksum");
    fails(&from("right"), &["--sha256", &"1".repeat(64)], "it is not unpacked");
    fails(&from("nowhere"), &[], "404");
    // Not even asked: a checksum over an open line proves nothing.
    fails("http://192.0.2.1/", &[], "is not `https`");

    let output = fetch(dir.path(), &from("right"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&format!("2 files in crs-4.0.0, SHA-256 {digest}"))
    );
    std::fs::write(dir.path().join("a.http"), "GET /?q=bad HTTP/1.1\nHost: a\n").expect("written");
    let explain = ["waf", "explain", "a.http", "--rules", "crs-4.0.0"];
    let explained = run(Command::new(binary()).args(explain).current_dir(dir.path()));
    assert!(explained.contains("1 in phase 2: fetched"), "{explained}");

    let output = fetch(dir.path(), &from("right"), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
    let pinned = fetch(dir.path(), &from("none"), &["--sha256", &digest, "--into", "pinned"]);
    assert!(pinned.status.success() && dir.path().join("pinned/rules/a.conf").is_file());
}
