//! Which service a request means: the most specific host, then the longest prefix.

use std::cmp::Reverse;

/// Where an API or a service begins. The greater answers where two do: a host by name before `*.domain` before any host, then
/// the longer `*.domain`, then more segments of path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    host: (u8, usize),
    segments: usize,
}

/// The services, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct ServiceRoutes {
    /// The furthest-reaching first.
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    reach: Reach,
    host: Option<Box<str>>,
    /// Empty for `/`.
    prefix: Box<str>,
    service: usize,
}

// === impl Reach ===

impl Reach {
    /// Of a host as configured and a path without a slash at its end.
    pub(crate) fn new(host: Option<&str>, path: &str) -> Self {
        let host = match host {
            None => (0, 0),
            Some(host) if host.starts_with("*.") => (1, host.len()),
            Some(_) => (2, 0),
        };
        Self { host, segments: path.trim_end_matches('/').matches('/').count() }
    }
}

// === impl ServiceRoutes ===

impl ServiceRoutes {
    /// The routes of services, given as host and prefix; the place in the list is what [`Self::find`] answers.
    pub(crate) fn new<'a>(services: impl Iterator<Item = (Option<&'a str>, &'a str)>) -> Self {
        let route = |(service, (host, prefix)): (usize, (Option<&str>, &str))| Route {
            reach: Reach::new(host, prefix),
            host: host.map(|host| host.strip_prefix('*').unwrap_or(host).into()),
            prefix: prefix.trim_end_matches('/').into(),
            service,
        };
        let mut routes: Vec<_> = services.enumerate().map(route).collect();
        routes.sort_by_key(|route| Reverse(route.reach));
        Self { routes }
    }

    /// The service of a host without port and a canonical path, and how specific that is.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<(usize, Reach)> {
        let found = self.routes.iter().find(|route| route.takes(host, path))?;
        Some((found.service, found.reach))
    }
}

// === impl Route ===

impl Route {
    fn takes(&self, host: &str, path: &str) -> bool {
        let is_host = match &self.host {
            None => true,
            // `*.example.com` is for names below, not for `.example.com` itself.
            Some(suffix) if suffix.starts_with('.') => {
                let at = host.len().saturating_sub(suffix.len());
                at > 0 && host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
            Some(name) => name.eq_ignore_ascii_case(host),
        };
        // Whole segments: `/admin` is not for `/administrator`.
        is_host
            && path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: [(Option<&str>, &str); 6] = [
        (None, "/"),
        (None, "/admin"),
        (Some("www.example"), "/"),
        (Some("*.example"), "/admin/old"),
        (Some("*.shop.example"), "/"),
        (Some("www.example"), "/admin"),
    ];

    fn find(host: &str, path: &str) -> Option<usize> {
        ServiceRoutes::new(SERVICES.into_iter()).find(host, path).map(|(service, _)| service)
    }

    #[test]
    fn the_most_specific_host_wins_then_the_longest_prefix() {
        for (host, path, service) in [
            ("other", "/", 0),
            ("other", "/x", 0),
            ("other", "/admin", 1),
            ("other", "/admin/x", 1),
            ("other", "/administrator", 0),
            ("other", "/Admin", 0),
            ("www.example", "/x", 2),
            ("WWW.Example", "/admin/old/x", 5),
            ("a.example", "/admin/old", 3),
            ("a.example", "/admin/older", 1),
            ("a.shop.example", "/admin/old", 4),
            (".example", "/admin/old", 1),
            ("example", "/admin/old", 1),
            ("", "/x", 0),
        ] {
            assert_eq!(find(host, path), Some(service), "{host} {path}");
        }
        let only = ServiceRoutes::new([(Some("a"), "/x")].into_iter());
        for (host, path) in [("a", "/"), ("a", "/xy"), ("b", "/x"), ("a.b", "/x"), ("a", "/%78")] {
            assert_eq!(only.find(host, path), None, "{host} {path}");
        }
    }
}
