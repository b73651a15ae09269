//! Which service a request means: the most specific host, then the longest prefix.

use std::cmp::Reverse;

use haechi_config::model::{self, Scheme};

/// Where an API or a service begins. The greater answers where two do: a host by name before `*.domain` before any host, then
/// the longer `*.domain`, then more segments of path, then one path before all below it, then one scheme before any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    host: (u8, usize),
    segments: usize,
    exact: bool,
    scheme: bool,
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
    /// Whether the prefix is the one path.
    exact: bool,
    scheme: Option<Scheme>,
    service: usize,
}

// === impl Reach ===

impl Reach {
    /// Of a host as configured and a path without a slash at its end; `exact` if it is the one path.
    pub(crate) fn new(host: Option<&str>, path: &str, (exact, scheme): (bool, Option<Scheme>)) -> Self {
        let host = match host {
            None => (0, 0),
            Some(host) if host.starts_with("*.") => (1, host.len()),
            Some(_) => (2, 0),
        };
        let segments = path.trim_end_matches('/').matches('/').count();
        Self { host, segments, exact, scheme: scheme.is_some() }
    }
}

// === impl ServiceRoutes ===

impl ServiceRoutes {
    /// The routes of services; the place in the list is what [`Self::find`] answers.
    pub(crate) fn new<'a>(services: impl Iterator<Item = &'a model::Service>) -> Self {
        let route = |(at, service): (usize, &model::Service)| {
            let model::Service { exact, scheme, .. } = *service;
            let (host, path) = (service.host.as_deref(), service.prefix.as_str());
            Route {
                reach: Reach::new(host, path, (exact, scheme)),
                host: host.map(|host| host.strip_prefix('*').unwrap_or(host).into()),
                prefix: if exact { path } else { path.trim_end_matches('/') }.into(),
                exact,
                scheme,
                service: at,
            }
        };
        let mut routes: Vec<_> = services.enumerate().map(route).collect();
        routes.sort_by_key(|route| Reverse(route.reach));
        Self { routes }
    }

    /// The service of a host without port, a scheme (whether it is `https`) and a canonical path, and how specific that is.
    pub(crate) fn find(&self, (host, secure): (&str, bool), path: &str) -> Option<(usize, Reach)> {
        let found = self
            .routes
            .iter()
            .find(|route| route.scheme.is_none_or(|scheme| scheme.is(secure)) && route.takes(host, path))?;
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
        is_host && if self.exact { path == &*self.prefix } else { self.is_below(path) }
    }

    fn is_below(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The routes of services whose places are these.
    fn routes(places: &[&str]) -> ServiceRoutes {
        let service = |(at, place): (usize, &&str)| {
            format!("  s{at}: {{ {place}, auth: none, respond: {{ status: 204 }} }}\n")
        };
        let services: String = places.iter().enumerate().map(service).collect();
        let text = format!("haechi: 1\nlisten: [{{ address: \"127.0.0.1:1\" }}]\nservices:\n{services}");
        let config = haechi_config::Config::parse(&text, std::path::Path::new("haechi.yaml"));
        let config = config.unwrap_or_else(|wrong| panic!("{wrong}"));
        ServiceRoutes::new(config.services.iter().map(|(_, service)| service))
    }

    #[test]
    fn the_most_specific_host_wins_then_the_longest_prefix() {
        let routes = routes(&[
            "prefix: /",
            "prefix: /admin",
            "host: www.example",
            "host: '*.example', prefix: /admin/old",
            "host: '*.shop.example'",
            "host: www.example, prefix: /admin",
        ]);
        let find = |host, path| routes.find((host, true), path).map(|(service, _)| service);
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
        let only = self::routes(&["host: a, prefix: /x"]);
        for (host, path) in [("a", "/"), ("a", "/xy"), ("b", "/x"), ("a.b", "/x"), ("a", "/%78")] {
            assert_eq!(only.find((host, true), path), None, "{host} {path}");
        }
    }

    #[test]
    fn one_path_wins_over_all_below_it_and_one_scheme_over_any() {
        let routes = routes(&[
            "prefix: /",
            "path: /",
            "prefix: /a",
            "path: /a",
            "path: /a/",
            "prefix: /a, scheme: http",
            "path: /a, scheme: https",
        ]);
        for (secure, path, service) in [
            (true, "/", 1),
            (true, "/x", 0),
            (true, "/a", 6),
            (false, "/a", 3),
            (true, "/a/", 4),
            (true, "/a/x", 2),
            (false, "/a/x", 5),
            (false, "/ab", 0),
        ] {
            let found = routes.find(("h", secure), path).map(|(service, _)| service);
            assert_eq!(found, Some(service), "{secure} {path}");
        }
    }
}
