//! The texts of a transaction: each distinct one once, with what is cheap to know of it.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};

use crate::hash::Keyed;
use crate::names::Transform;
use crate::signature::Signature;
use crate::transform;

/// The most bytes that the texts of one transaction take together: a body of the largest allowed size, its arguments, and what transformations make of them.
pub(crate) const TEXTS: usize = 96 << 20;

/// A text, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TextId(u32);

/// Texts, hash-consed: equal texts have equal numbers, so that what was found out about one is never found out again.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    index: HashTable<u32>,
    steps: HashMap<(TextId, Transform), TextId, Keyed>,
    scratch: Vec<u8>,
    /// Whether a text was left out because of [`TEXTS`].
    pub(crate) full: bool,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    signature: Signature,
    hash: u64,
}

// === impl TextId ===

impl TextId {
    /// The text of no length.
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

// === impl Texts ===

impl Texts {
    pub(crate) fn fresh() -> Self {
        let mut texts = Self {
            bytes: Vec::with_capacity(4_096),
            spans: Vec::with_capacity(256),
            index: HashTable::with_capacity(256),
            steps: HashMap::default(),
            scratch: Vec::new(),
            full: false,
        };
        texts.intern(b"");
        texts
    }

    /// Forgets all texts, keeps the memory for the next transaction.
    pub(crate) fn clear(&mut self) {
        /// What is kept is what usual transactions need.
        const KEPT: usize = 1 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.spans.clear();
        self.spans.shrink_to(KEPT / 16);
        self.index.clear();
        self.steps.clear();
        self.full = false;
        self.intern(b"");
    }

    pub(crate) fn get(&self, id: TextId) -> &[u8] {
        self.spans.get(id.index()).map_or(&[], |span| self.slice(*span))
    }

    fn slice(&self, span: Span) -> &[u8] {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let end = usize::try_from(span.end).unwrap_or(usize::MAX);
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(crate) fn signature(&self, id: TextId) -> Signature {
        self.spans.get(id.index()).map_or(Signature::EMPTY, |span| span.signature)
    }

    /// The same for equal texts, in every transaction of the process.
    pub(crate) fn hash(&self, id: TextId) -> u64 {
        self.spans.get(id.index()).map_or(0, |span| span.hash)
    }

    pub(crate) fn intern(&mut self, text: &[u8]) -> TextId {
        let hash = Keyed.hash_one(text);
        let (spans, bytes) = (&self.spans, &self.bytes);
        let text_of = |at: &u32| {
            let span = usize::try_from(*at).ok().and_then(|at| spans.get(at));
            let range = span
                .map(|span| usize::try_from(span.start).unwrap_or(0)..usize::try_from(span.end).unwrap_or(0));
            range.and_then(|range| bytes.get(range)).unwrap_or_default()
        };
        if let Some(found) = self.index.find(hash, |at| text_of(at) == text) {
            return TextId(*found);
        }
        let (Ok(at), Ok(start)) = (u32::try_from(self.spans.len()), u32::try_from(self.bytes.len())) else {
            self.full = true;
            return TextId::EMPTY;
        };
        if self.bytes.len() + text.len() > TEXTS {
            self.full = true;
            return TextId::EMPTY;
        }
        let known =
            |at: &u32| usize::try_from(*at).ok().and_then(|at| spans.get(at)).map_or(0, |span| span.hash);
        self.index.insert_unique(hash, at, known);
        self.bytes.extend_from_slice(text);
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.spans.push(Span { start, end, signature: Signature::of(text), hash });
        TextId(at)
    }

    /// What a transformation makes of a text.
    pub(crate) fn step(&mut self, id: TextId, step: Transform) -> TextId {
        if self.signature(id).is_fixed_by(step) {
            return id;
        }
        if let Some(known) = self.steps.get(&(id, step)) {
            return *known;
        }
        let after = self.step_plainly(id, step);
        self.steps.insert((id, step), after);
        after
    }

    /// As [`Self::step`], without any short cut.
    pub(crate) fn step_plainly(&mut self, id: TextId, step: Transform) -> TextId {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        transform::apply(step, self.get(id), &mut scratch);
        let after = if scratch == self.get(id) { id } else { self.intern(&scratch) };
        self.scratch = scratch;
        after
    }
}
