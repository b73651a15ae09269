//! A release: what it says of its archive, and the archive.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use haechi_upstream::{ClientTls, Endpoint, OutBody, Pools, Scheme, Upstream};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body;
use serde::Deserialize;

use super::Digest;

/// How long one answer may take to begin, and then to come whole.
const ANSWER: Duration = Duration::from_secs(60);
/// The largest description of a release, in bytes; those of the Core Rule Set have some 20 KB.
const DESCRIPTION: usize = 1 << 20;
/// The largest archive, in bytes; the Core Rule Set's has under 1 MB.
const ARCHIVE: usize = 64 << 20;
/// How often an answer may point elsewhere: archives are kept by a service of their own.
const REDIRECTS: usize = 5;

/// An archive that has come, and what its checksum should be.
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// What is used of a description of a release.
#[derive(Deserialize)]
struct Release {
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
struct Asset {
    name: String,
    browser_download_url: String,
    /// `sha256:…`; releases of before 2025 have none.
    digest: Option<String>,
}

/// Fetches the archive of a version.
pub(super) fn fetch(from: &str, version: &str, digest: Option<Digest>) -> Result<Fetched, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let tls = ClientTls::web_roots().map_err(|error| error.to_string())?;
        let described = get(&tls, &format!("{}/v{version}", from.trim_end_matches('/')), DESCRIPTION).await?;
        let release: Release = serde_json::from_slice(&described)
            .map_err(|error| format!("what describes the release is not understood: {error}"))?;
        let wanted = format!("coreruleset-{version}-minimal.tar.gz");
        let asset = release.assets.into_iter().find(|asset| asset.name == wanted);
        let asset = asset.ok_or_else(|| format!("the release has no `{wanted}`"))?;
        let told = asset.digest.as_deref().and_then(|told| told.strip_prefix("sha256:")?.parse().ok());
        let digest =
            digest.or(told).ok_or("the release tells no checksum of its archive: give it with `--sha256`")?;
        let bytes = get(&tls, &asset.browser_download_url, ARCHIVE).await?;
        Ok(Fetched { bytes, digest })
    })
}

/// Follows a URL to an answer of at most so many bytes.
async fn get(tls: &ClientTls, url: &str, most: usize) -> Result<Vec<u8>, String> {
    let pools = Pools::default();
    let mut url: Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
    for _ in 0..=REDIRECTS {
        let (upstream, target) = address(&url, tls)?;
        let mut request = Request::new(OutBody::Empty);
        *request.method_mut() = Method::GET;
        let agent = HeaderValue::from_static(concat!("haechi/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let sent = pools.send(&upstream, ANSWER, &target, request, || None).await;
        let reply = sent.outcome.map_err(|error| format!("{url}: {error}"))?;
        let (head, body) = reply.response.into_parts();
        if head.status == StatusCode::OK {
            let read = tokio::time::timeout(ANSWER, read(body, most)).await;
            let bytes = read.map_err(|_| format!("{url}: the answer did not come in time"))?;
            return bytes.map_err(|why| format!("{url}: {why}"));
        }
        let to = head.headers.get(header::LOCATION).filter(|_| head.status.is_redirection());
        let to = to.and_then(|to| to.to_str().ok()?.parse().ok());
        url = to.ok_or_else(|| format!("{url}: answers {}", head.status))?;
    }
    Err(format!("more than {REDIRECTS} redirects"))
}

/// Where a URL leads. Without TLS only to this machine: a checksum that came over an open line proves nothing.
fn address(url: &Uri, tls: &ClientTls) -> Result<(Upstream, PathAndQuery), String> {
    let host = url.host().ok_or_else(|| format!("`{url}` is no whole URL"))?.trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let (scheme, port) = match url.scheme_str() {
        Some("https") => (Scheme::Https, 443),
        Some("http") if here => (Scheme::Http, 80),
        _ => return Err(format!("`{url}` is not `https`")),
    };
    let endpoint = Endpoint::new(scheme, host, url.port_u16().unwrap_or(port), "");
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    let target = url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Ok((Upstream::plain(endpoint, tls.clone(), ANSWER), target))
}

async fn read<B>(body: B, most: usize) -> Result<Vec<u8>, String>
where
    B: Body<Data = bytes::Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    let mut answer = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
        if answer.len() + data.len() > most {
            return Err(format!("the answer is longer than {most} bytes"));
        }
        answer.extend_from_slice(&data);
    }
    Ok(answer.to_vec())
}
