//! What rules look at.

use super::Transaction;
use crate::names::Collection;
use crate::program::{XML_ATTRIBUTE, XML_TEXT};
use crate::texts::{TextId, Texts};

/// The values of a transaction, by collection.
#[derive(Debug, Default)]
pub(crate) struct Data {
    /// Collections of one value, by [`Collection`].
    single: Vec<Option<TextId>>,
    /// Arguments in order; the first [`Self::query_args`] are of the query.
    pub(crate) args: Vec<(TextId, TextId)>,
    pub(crate) query_args: usize,
    pub(crate) args_size: usize,
    pub(crate) cookies: Vec<(TextId, TextId)>,
    pub(crate) request_headers: Vec<(TextId, TextId)>,
    pub(crate) response_headers: Vec<(TextId, TextId)>,
    pub(crate) files: Vec<File>,
    pub(crate) part_headers: Vec<(TextId, TextId)>,
    pub(crate) part_names: Vec<(TextId, TextId)>,
    pub(crate) xml_text: Option<TextId>,
    pub(crate) xml_attributes: Vec<TextId>,
}

/// An uploaded file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) field: TextId,
    pub(crate) name: TextId,
    pub(crate) size: usize,
    pub(crate) content: TextId,
}

/// One value of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) collection: Collection,
    /// Its name; [`TextId::EMPTY`] where there is one value only.
    pub(crate) key: TextId,
    pub(crate) value: TextId,
}

// === impl Data ===

impl Data {
    /// Sets a collection of one value.
    pub(crate) fn put(&mut self, texts: &mut Texts, collection: Collection, text: &[u8]) {
        let id = texts.intern(text);
        self.set(collection, id);
    }

    pub(crate) fn set(&mut self, collection: Collection, id: TextId) {
        let at = collection as usize;
        if self.single.len() <= at {
            self.single.resize(Collection::ALL.len(), None);
        }
        if let Some(slot) = self.single.get_mut(at) {
            *slot = Some(id);
        }
    }

    pub(crate) fn one(&self, collection: Collection) -> Option<TextId> {
        self.single.get(collection as usize).copied().flatten()
    }
}

// === impl Transaction ===

impl Transaction {
    /// All values of a collection, in order.
    pub(crate) fn gather_all(&mut self, collection: Collection, out: &mut Vec<Found>) {
        use Collection as C;
        let both = |(key, value): &(TextId, TextId)| Found { collection, key: *key, value: *value };
        let names = |(key, _): &(TextId, TextId)| Found { collection, key: *key, value: *key };
        let data = &self.data;
        let query = data.args.get(..data.query_args).unwrap_or_default();
        let posted = data.args.get(data.query_args..).unwrap_or_default();
        match collection {
            C::Args => out.extend(data.args.iter().map(both)),
            C::ArgsNames => out.extend(data.args.iter().map(names)),
            C::ArgsGet => out.extend(query.iter().map(both)),
            C::ArgsGetNames => out.extend(query.iter().map(names)),
            C::ArgsPost => out.extend(posted.iter().map(both)),
            C::ArgsPostNames => out.extend(posted.iter().map(names)),
            C::RequestCookies => out.extend(data.cookies.iter().map(both)),
            C::RequestCookiesNames => out.extend(data.cookies.iter().map(names)),
            C::RequestHeaders => out.extend(data.request_headers.iter().map(both)),
            C::RequestHeadersNames => out.extend(data.request_headers.iter().map(names)),
            C::ResponseHeaders => out.extend(data.response_headers.iter().map(both)),
            C::ResponseHeadersNames => out.extend(data.response_headers.iter().map(names)),
            C::MultipartPartHeaders => out.extend(data.part_headers.iter().map(both)),
            C::MultipartName => out.extend(data.part_names.iter().map(names)),
            C::Files => out.extend(data.files.iter().map(|file| Found {
                collection,
                key: file.field,
                value: file.name,
            })),
            C::MultipartFilename => out.extend(data.files.iter().map(|file| Found {
                collection,
                key: file.field,
                value: file.name,
            })),
            C::FilesNames => out.extend(data.files.iter().map(|file| Found {
                collection,
                key: file.field,
                value: file.field,
            })),
            C::FilesTmpContent => out.extend(data.files.iter().map(|file| Found {
                collection,
                key: file.field,
                value: file.content,
            })),
            C::FilesSizes => {
                for file in &data.files {
                    let value = self.texts.intern(file.size.to_string().as_bytes());
                    out.push(Found { collection, key: file.field, value });
                }
            }
            C::Xml => {
                let text = self.texts.intern(XML_TEXT);
                let attribute = self.texts.intern(XML_ATTRIBUTE);
                out.extend(data.xml_text.map(|value| Found { collection, key: text, value }));
                out.extend(data.xml_attributes.iter().map(|value| Found {
                    collection,
                    key: attribute,
                    value: *value,
                }));
            }
            C::MatchedVars => {
                for (name, value) in &self.matched {
                    let key = self.texts.intern(name);
                    out.push(Found { collection, key, value: *value });
                }
            }
            C::MatchedVarsNames => {
                for (name, _) in &self.matched {
                    let key = self.texts.intern(name);
                    out.push(Found { collection, key, value: key });
                }
            }
            C::Tx => {
                for (name, value) in self.tx.iter() {
                    let (key, value) = (self.texts.intern(name), self.texts.intern(value));
                    out.push(Found { collection, key, value });
                }
                for (group, value) in (0u8..).zip(&self.captures) {
                    let (key, value) = (self.texts.intern(&[b'0' + group]), self.texts.intern(value));
                    out.push(Found { collection, key, value });
                }
            }
            C::Global | C::Ip | C::Session | C::User | C::Resource => self.gather_persistent(collection, out),
            C::Rule => {
                for (name, value) in self.rule_values() {
                    let (key, value) = (self.texts.intern(name), self.texts.intern(&value));
                    out.push(Found { collection, key, value });
                }
            }
            // The process has an environment; rules have no business in it.
            C::Env => {}
            _ => {
                if let Some(value) = self.single(collection) {
                    out.push(Found { collection, key: TextId::EMPTY, value });
                }
            }
        }
    }

    /// The value under a name of what rules write: without looking at all names.
    pub(crate) fn written(&mut self, collection: Collection, key: &[u8]) -> Option<Found> {
        let value = match (collection, key) {
            (Collection::Tx, [group @ b'0'..=b'9']) => {
                let at = usize::from(group - b'0');
                // A rule may also set them itself.
                let value = self.captures.get(at).map(Vec::as_slice).or_else(|| self.tx.get(key))?;
                self.texts.intern(value)
            }
            (Collection::Tx, _) => self.texts.intern(self.tx.get(key)?),
            _ => {
                let value = self.persistent_value(collection, key)?.to_vec();
                self.texts.intern(&value)
            }
        };
        let key = self.texts.intern(key);
        Some(Found { collection, key, value })
    }

    /// The value of a collection that has one.
    fn single(&mut self, collection: Collection) -> Option<TextId> {
        use Collection as C;
        let known = self.data.one(collection);
        if known.is_some() {
            return known;
        }
        let number = |value: usize| Some(value.to_string().into_bytes());
        let value = match collection {
            C::ArgsCombinedSize => number(self.data.args_size),
            C::FilesCombinedSize => number(self.data.files.iter().map(|file| file.size).sum()),
            C::MatchedVar => Some(self.told.value.clone()),
            C::MatchedVarName => Some(self.told.name.clone()),
            C::ReqbodyProcessor => {
                Some(self.processor.map_or("", |processor| processor.name()).as_bytes().to_vec())
            }
            C::HighestSeverity => number(self.highest.map_or(255, |severity| severity as usize)),
            C::WebAppId => Some(self.rules.program.settings.web_app.clone().into_bytes()),
            C::SessionId | C::UserId => {
                let which = if collection == C::SessionId { C::Session } else { C::User };
                Some(self.persistent_key(which).unwrap_or_default())
            }
            C::ModsecBuild => Some(env!("CARGO_PKG_VERSION").as_bytes().to_vec()),
            C::Time
            | C::TimeDay
            | C::TimeEpoch
            | C::TimeHour
            | C::TimeMin
            | C::TimeMon
            | C::TimeSec
            | C::TimeWday
            | C::TimeYear => Some(super::request::time(collection, self.began / 1_000_000).into_bytes()),
            // Flags that nothing raised.
            C::InboundDataError
            | C::OutboundDataError
            | C::ReqbodyError
            | C::UrlencodedError
            | C::MscPcreError
            | C::MscPcreLimitsExceeded
            | C::MultipartBoundaryQuoted
            | C::MultipartBoundaryWhitespace
            | C::MultipartCrlfLfLines
            | C::MultipartDataAfter
            | C::MultipartDataBefore
            | C::MultipartFileLimitExceeded
            | C::MultipartHeaderFolding
            | C::MultipartInvalidHeaderFolding
            | C::MultipartInvalidPart
            | C::MultipartInvalidQuoting
            | C::MultipartLfLine
            | C::MultipartMissingSemicolon
            | C::MultipartStrictError
            | C::MultipartUnmatchedBoundary
            | C::RequestBodyLength => number(0),
            C::FullRequest => Some(self.full_request()),
            C::FullRequestLength => number(self.full_request().len()),
            _ => None,
        }?;
        Some(self.texts.intern(&value))
    }

    fn full_request(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let text = |id: Option<TextId>| id.map_or(&b""[..], |id| self.texts.get(id));
        out.extend_from_slice(text(self.data.one(Collection::RequestLine)));
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.data.request_headers {
            out.extend_from_slice(self.texts.get(*name));
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.texts.get(*value));
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(text(self.data.one(Collection::RequestBody)));
        out
    }
}
