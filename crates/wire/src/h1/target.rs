//! The request target.

use bytes::Bytes;

use crate::{Authority, RefusalKind};

/// A request target as received (RFC 9112, 3.2), without any decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    raw: Bytes,
    path: Bytes,
    query: Option<Bytes>,
    form: TargetForm,
}

/// The forms of RFC 9112, 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `http://host/path?query`.
    Absolute,
    /// `host:port`, for CONNECT: recognised in order to be refused, no [`Head`](super::Head) carries it.
    Authority,
    /// `*`, for OPTIONS.
    Asterisk,
}

// === impl Target ===

impl Target {
    /// The target as received.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// In which form it was written.
    pub fn form(&self) -> TargetForm {
        self.form
    }

    /// The path as received: `*` for the asterisk form, `/` for an absolute form without one.
    pub fn path_raw(&self) -> &Bytes {
        &self.path
    }

    /// What stands after the first `?`, as received. `Some` and empty for `/?`.
    pub fn query_raw(&self) -> Option<&Bytes> {
        self.query.as_ref()
    }

    /// Reads a target; the authority is that of the absolute form.
    pub(super) fn parse(raw: Bytes) -> Result<(Self, Option<Authority>), RefusalKind> {
        if let Some(&bad) = raw.iter().find(|&&byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            let fragment = bad == b'#';
            return Err(if fragment { RefusalKind::FragmentInTarget } else { RefusalKind::InvalidTarget });
        }
        if raw.first() == Some(&b'/') {
            return Ok((Self::new(raw.clone(), raw, TargetForm::Origin), None));
        }
        if raw.as_ref() == b"*" {
            return Ok((Self::new(raw.clone(), raw, TargetForm::Asterisk), None));
        }
        let Some(scheme_len) = scheme_len(&raw) else {
            return match Authority::parse_shared(&raw) {
                Ok(authority) if authority.port().is_some() => {
                    Ok((Self::new(raw.clone(), Bytes::new(), TargetForm::Authority), Some(authority)))
                }
                _ => Err(RefusalKind::InvalidTarget),
            };
        };
        let rest = raw.slice(scheme_len..);
        let authority_len = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let authority =
            Authority::parse_shared(&rest.slice(..authority_len)).map_err(|refusal| refusal.kind())?;
        let mut target = Self::new(raw, rest.slice(authority_len..), TargetForm::Absolute);
        if target.path.is_empty() {
            target.path = Bytes::from_static(b"/");
        }
        Ok((target, Some(authority)))
    }

    fn new(raw: Bytes, path_and_query: Bytes, form: TargetForm) -> Self {
        match memchr::memchr(b'?', &path_and_query) {
            Some(mark) => {
                let query = path_and_query.slice(mark + 1..);
                Self { raw, path: path_and_query.slice(..mark), query: Some(query), form }
            }
            None => Self { raw, path: path_and_query, query: None, form },
        }
    }
}

/// The length of `http://` or `https://`.
fn scheme_len(raw: &[u8]) -> Option<usize> {
    let starts =
        |scheme: &&[u8]| raw.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    [b"http://".as_slice(), b"https://"].into_iter().find(starts).map(<[u8]>::len)
}
