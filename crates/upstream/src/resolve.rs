//! From names to addresses. Who asks is a parameter: tests answer themselves.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// Most addresses of one name that are used; a balancer in front of more has one name.
pub(crate) const ADDRESSES: usize = 64;

/// An answer to come.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Addresses<'a>;
}

/// The system's own resolver (`/etc/hosts`, DNS).
#[derive(Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Addresses<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
