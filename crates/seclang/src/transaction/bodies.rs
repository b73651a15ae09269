//! Bodies of requests and responses.

use std::sync::Arc;

use super::Transaction;
use super::data::File;
use crate::body::{json, multipart, urlencoded, xml};
use crate::names::{BodyProcessor, Collection};

// === impl Transaction ===

impl Transaction {
    pub(super) fn take_body(&mut self, body: &[u8]) {
        use Collection as C;
        let rules = Arc::clone(&self.rules);
        let settings = &rules.program.settings;
        let mut body = body;
        if body.len() > settings.request_body_limit {
            self.data.put(&mut self.texts, C::InboundDataError, b"1");
            if settings.request_body_reject {
                self.body_error("the body is larger than SecRequestBodyLimit");
                self.limit("request body");
                return;
            }
            body = body.get(..settings.request_body_limit).unwrap_or_default();
        }
        self.data.put(&mut self.texts, C::RequestBodyLength, body.len().to_string().as_bytes());
        if self.processor != Some(BodyProcessor::Multipart)
            && body.len() > settings.request_body_no_files_limit
        {
            self.data.put(&mut self.texts, C::InboundDataError, b"1");
            if settings.request_body_reject {
                self.body_error("the body is larger than SecRequestBodyNoFilesLimit");
                self.limit("request body without files");
                return;
            }
            body = body.get(..settings.request_body_no_files_limit).unwrap_or_default();
        }
        // As in ModSecurity 2: raw bodies are for forms, and for what no processor reads if rules ask for it.
        if self.processor == Some(BodyProcessor::UrlEncoded) || self.force_body {
            self.data.put(&mut self.texts, C::RequestBody, body);
        }
        if body.is_empty() {
            return;
        }
        match self.processor {
            None => {}
            Some(BodyProcessor::UrlEncoded) => {
                let mut invalid = false;
                let pairs = urlencoded::pairs(body, settings.separator, &mut invalid);
                if invalid {
                    self.data.put(&mut self.texts, C::UrlencodedError, b"1");
                }
                self.add_args(pairs);
            }
            Some(BodyProcessor::Json) => {
                let mut pairs = Vec::new();
                // One more than may be kept, so that too many are noticed.
                let most = (settings.arguments + 1).saturating_sub(self.data.args.len());
                let result = json::flatten(body, settings.depth, most, &mut pairs);
                self.add_args(pairs);
                if let Err(error) = result {
                    self.body_error(&format!("JSON: {error}"));
                    if error == json::DEEP {
                        self.limit("depth");
                    }
                }
            }
            Some(BodyProcessor::Xml) => {
                let document = xml::read(body, settings.depth, settings.arguments);
                self.data.xml_text = Some(self.texts.intern(&document.text));
                for value in &document.attributes {
                    let value = self.texts.intern(value);
                    self.data.xml_attributes.push(value);
                }
                if let Some(error) = document.error {
                    self.body_error(&format!("XML: {error}"));
                    if error == xml::DEEP || error == xml::MANY {
                        self.limit("depth");
                    }
                }
            }
            Some(BodyProcessor::Multipart) => self.take_multipart(body),
        }
    }

    fn take_multipart(&mut self, body: &[u8]) {
        use Collection as C;
        let rules = Arc::clone(&self.rules);
        let settings = &rules.program.settings;
        let header = self
            .data
            .request_headers
            .iter()
            .find(|(name, _)| self.texts.get(*name).eq_ignore_ascii_case(b"content-type"));
        let content_type = header.map(|(_, value)| self.texts.get(*value).to_vec()).unwrap_or_default();
        let form = multipart::read(&content_type, body, settings.uploads, settings.arguments);
        for (flag, raised) in form.flags.list() {
            if raised {
                self.data.put(&mut self.texts, flag, b"1");
            }
        }
        let mut fields = Vec::new();
        let mut size = 0;
        for part in form.parts {
            let name = self.texts.intern(&part.name);
            self.data.part_names.push((name, name));
            for line in &part.headers {
                let line = self.texts.intern(line);
                self.data.part_headers.push((name, line));
            }
            match part.filename {
                Some(filename) => {
                    let (filename, content) = (self.texts.intern(&filename), self.texts.intern(part.content));
                    self.data.files.push(File {
                        field: name,
                        name: filename,
                        size: part.content.len(),
                        content,
                    });
                }
                None => {
                    size += part.content.len();
                    fields.push((part.name, part.content));
                }
            }
        }
        self.add_args(fields);
        if let Some(error) = form.error {
            self.body_error(&format!("Multipart: {error}"));
            self.data.put(&mut self.texts, C::MultipartStrictError, b"1");
        }
        if form.flags.file_limit {
            self.limit("uploads");
        }
        if size > settings.request_body_no_files_limit {
            self.data.put(&mut self.texts, C::InboundDataError, b"1");
            if settings.request_body_reject {
                self.limit("request body without files");
            }
        }
    }

    /// Says that the body is not what its type promises.
    pub(super) fn body_error(&mut self, message: &str) {
        self.data.put(&mut self.texts, Collection::ReqbodyError, b"1");
        self.data.put(&mut self.texts, Collection::ReqbodyErrorMsg, message.as_bytes());
    }

    pub(super) fn take_response(&mut self, status: u16, protocol: &[u8], headers: &[(&[u8], &[u8])]) {
        use Collection as C;
        let status = status.to_string();
        self.data.put(&mut self.texts, C::ResponseStatus, status.as_bytes());
        self.data.put(&mut self.texts, C::ResponseProtocol, protocol);
        let line = [protocol, b" ", status.as_bytes()].concat();
        self.data.put(&mut self.texts, C::StatusLine, &line);
        let most = self.rules.program.settings.arguments;
        for (name, value) in headers.iter().take(most) {
            let pair = (self.texts.intern(name), self.texts.intern(value));
            self.data.response_headers.push(pair);
            if name.eq_ignore_ascii_case(b"content-type") {
                self.data.put(&mut self.texts, C::ResponseContentType, value);
            } else if name.eq_ignore_ascii_case(b"content-length") {
                self.data.put(&mut self.texts, C::ResponseContentLength, value);
            }
        }
    }

    /// Whether the response is of a type that rules want to see.
    pub(super) fn is_looked_at(&self) -> bool {
        let types = &self.rules.program.settings.response_types;
        let own =
            self.data.one(Collection::ResponseContentType).map(|id| self.texts.get(id)).unwrap_or_default();
        let media = own.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        types.iter().any(|known| {
            known.as_bytes().eq_ignore_ascii_case(media) || (known == "null" && media.is_empty())
        })
    }

    pub(super) fn take_response_body(&mut self, body: &[u8]) {
        let rules = Arc::clone(&self.rules);
        let settings = &rules.program.settings;
        let mut body = body;
        if body.len() > settings.response_body_limit {
            self.data.put(&mut self.texts, Collection::OutboundDataError, b"1");
            if settings.response_body_reject {
                self.limit("response body");
                return;
            }
            body = body.get(..settings.response_body_limit).unwrap_or_default();
        }
        self.data.put(&mut self.texts, Collection::ResponseBody, body);
        if self.data.one(Collection::ResponseContentLength).is_none() {
            self.data.put(
                &mut self.texts,
                Collection::ResponseContentLength,
                body.len().to_string().as_bytes(),
            );
        }
    }
}
