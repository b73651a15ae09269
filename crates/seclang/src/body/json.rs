//! JSON to arguments, named as ModSecurity 3 names them: `json.order.items.array_0.size`.
//!
//! Beyond ModSecurity, each array and each empty object is an argument without a value too: otherwise nobody would look at its name.

use crate::transform::is_hex;

/// The error of a document that is nested too deeply.
pub(crate) const DEEP: &str = "it is nested too deeply";

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A container that is open.
struct Open {
    /// How long its path is.
    base: usize,
    /// Which element of an array comes next; `None` for an object.
    element: Option<usize>,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    path: Vec<u8>,
    open: Vec<Open>,
    depth: usize,
    most: usize,
}

/// Reads a document. What was read before a mistake stays in `pairs`; no more than `most` are read.
pub(crate) fn flatten(
    input: &[u8],
    depth: usize,
    most: usize,
    pairs: &mut Pairs,
) -> Result<(), &'static str> {
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let mut reader = Reader { input, at: 0, path: b"json".to_vec(), open: Vec::new(), depth, most };
    reader.value(pairs)?;
    loop {
        if pairs.len() >= reader.most {
            return Ok(());
        }
        if !reader.next(pairs)? {
            return if reader.peek().is_none() { Ok(()) } else { Err("something follows the document") };
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.input.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.input.get(self.at).copied()
    }

    /// Goes on after a value: to the next one of the innermost container, or out of it. `false` when the document is over.
    fn next(&mut self, pairs: &mut Pairs) -> Result<bool, &'static str> {
        let Some((base, element)) = self.open.last().map(|open| (open.base, open.element)) else {
            return Ok(false);
        };
        self.path.truncate(base);
        match (self.peek(), element) {
            (Some(b','), Some(_)) => {
                self.at += 1;
                self.element();
                self.value(pairs)?;
            }
            (Some(b','), None) => {
                self.at += 1;
                self.key()?;
                self.value(pairs)?;
            }
            (Some(b']'), Some(_)) | (Some(b'}'), None) => {
                self.at += 1;
                self.open.pop();
            }
            _ => return Err("a comma or the end of the container was expected"),
        }
        Ok(true)
    }

    fn element(&mut self) {
        if let Some(Open { element: Some(element), .. }) = self.open.last_mut() {
            self.path.extend_from_slice(b".array_");
            self.path.extend_from_slice(element.to_string().as_bytes());
            *element += 1;
        }
    }

    fn key(&mut self) -> Result<(), &'static str> {
        if self.peek() != Some(b'"') {
            return Err("a name in quotes was expected");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err("a colon was expected");
        }
        self.at += 1;
        self.path.push(b'.');
        self.path.extend_from_slice(if key.is_empty() { b"empty-key" } else { &key });
        Ok(())
    }

    /// A value: a scalar is kept; a container is opened, and its first value read.
    fn value(&mut self, pairs: &mut Pairs) -> Result<(), &'static str> {
        loop {
            let first = self.peek().ok_or("it ends where a value was expected")?;
            if !matches!(first, b'{' | b'[') {
                let value = match first {
                    b'"' => self.string()?,
                    b't' => self.word(b"true")?.to_vec(),
                    b'f' => self.word(b"false")?.to_vec(),
                    b'n' => {
                        self.word(b"null")?;
                        Vec::new()
                    }
                    _ => self.number()?,
                };
                pairs.push((self.path.clone(), value));
                return Ok(());
            }
            if self.open.len() >= self.depth {
                return Err(DEEP);
            }
            self.at += 1;
            let is_array = first == b'[';
            let is_empty = self.peek() == Some(if is_array { b']' } else { b'}' });
            // The document itself has no name of its own.
            if (is_array || is_empty) && !self.open.is_empty() {
                pairs.push((self.path.clone(), Vec::new()));
            }
            if is_empty {
                self.at += 1;
                return Ok(());
            }
            self.open.push(Open { base: self.path.len(), element: is_array.then_some(0) });
            if is_array {
                self.element();
            } else {
                self.key()?;
            }
        }
    }

    fn word<'w>(&mut self, word: &'w [u8]) -> Result<&'w [u8], &'static str> {
        if self.input.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(word);
        }
        Err("it holds a word that is none of JSON's")
    }

    /// As it is written, if RFC 8259 allows it.
    fn number(&mut self) -> Result<Vec<u8>, &'static str> {
        const WRONG: &str = "a value was expected";
        let start = self.at;
        let digits = |this: &mut Self| {
            let before = this.at;
            while this.input.get(this.at).is_some_and(u8::is_ascii_digit) {
                this.at += 1;
            }
            this.at > before
        };
        if self.input.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.input.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else if !digits(self) {
            return Err(WRONG);
        }
        if self.input.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !digits(self) {
                return Err(WRONG);
            }
        }
        if matches!(self.input.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.input.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !digits(self) {
                return Err(WRONG);
            }
        }
        Ok(self.input.get(start..self.at).unwrap_or_default().to_vec())
    }

    /// A string, its quote not yet read.
    fn string(&mut self) -> Result<Vec<u8>, &'static str> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = self.input.get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .ok_or("a string is never closed")?;
            let text = rest.get(..plain).unwrap_or_default();
            if std::str::from_utf8(text).is_err() {
                return Err("a string is not UTF-8");
            }
            out.extend_from_slice(text);
            self.at += plain + 1;
            match rest.get(plain) {
                Some(b'"') => return Ok(out),
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err("a string holds a control byte"),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let letter = self.input.get(self.at).copied().ok_or("a string is never closed")?;
        self.at += 1;
        out.push(match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let first = self.unit()?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first)
                    && self.input.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"))
                {
                    let before = self.at;
                    self.at += 2;
                    let second = self.unit()?;
                    if (0xdc00..0xe000).contains(&second) {
                        units.push(second);
                    } else {
                        self.at = before;
                    }
                }
                // A half of a pair alone stands for no character.
                for letter in char::decode_utf16(units) {
                    let mut buffer = [0; 4];
                    let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
                }
                return Ok(());
            }
            _ => return Err("a string holds an escape that is none of JSON's"),
        });
        Ok(())
    }

    fn unit(&mut self) -> Result<u16, &'static str> {
        let digits =
            self.input.get(self.at..self.at + 4).filter(|digits| digits.iter().all(|digit| is_hex(*digit)));
        let value = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 4;
        value.ok_or("an escape lacks its four digits")
    }
}
