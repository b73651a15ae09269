//! Rules, loaded and ready.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::compile::compile;
use crate::error::{Notice, RuleErrors};
use crate::injection::{InjectionDetector, Libinjection};
use crate::load::{Loader, Reader};
use crate::program::{Program, Settings};
use crate::store::{MemoryStore, Store};
use crate::texts::Texts;
use crate::transaction::{Request, Transaction};

/// How many transactions' memory is kept for the next: as many as usually run at once.
const KEPT: usize = 64;

/// A set of rules. Immutable, and shared by all transactions.
pub struct Rules {
    pub(crate) program: Program,
    pub(crate) detector: Arc<dyn InjectionDetector>,
    pub(crate) engine: crate::engine::Engine,
    notices: Vec<Notice>,
    store: Arc<dyn Store>,
    texts: Mutex<Vec<Texts>>,
}

/// Gathers what rules are made from.
pub struct RulesBuilder<'a> {
    reader: Reader<'a>,
    loader: &'a dyn Loader,
    detector: Arc<dyn InjectionDetector>,
    store: Arc<dyn Store>,
}

// === impl Rules ===

impl Rules {
    /// Rules from files that a loader reads.
    #[must_use]
    pub fn builder(loader: &dyn Loader) -> RulesBuilder<'_> {
        RulesBuilder {
            reader: Reader::new(loader),
            loader,
            detector: Arc::new(Libinjection),
            store: Arc::new(MemoryStore::default()),
        }
    }

    /// A transaction.
    #[must_use]
    pub fn begin(self: &Arc<Self>, request: &Request<'_>) -> Transaction {
        Transaction::new(self, request, Arc::clone(&self.store), false)
    }

    /// A transaction that is judged by the plain interpreter, which the engine is held against.
    #[cfg(any(test, feature = "reference"))]
    #[must_use]
    pub fn begin_plainly(self: &Arc<Self>, request: &Request<'_>) -> Transaction {
        Transaction::new(self, request, Arc::clone(&self.store), true)
    }

    /// What files say that has no effect here.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What directives set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.program.settings
    }

    /// The ids of all rules, in order, of those too that can never match.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.program.rules.iter().map(|rule| rule.id)
    }

    /// Forgets what the engine has remembered from one transaction to the next. For measuring.
    pub fn forget(&self) {
        self.engine.forget();
    }

    pub(crate) fn take_texts(&self) -> Texts {
        let kept = self.texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        kept.unwrap_or_else(Texts::fresh)
    }

    pub(crate) fn give_texts(&self, mut texts: Texts) {
        texts.clear();
        let mut kept = self.texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(texts);
        }
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("rules", &self.program.rules.len()).finish_non_exhaustive()
    }
}

// === impl RulesBuilder ===

impl RulesBuilder<'_> {
    /// Adds the files that a path names, in order; `*` and `?` stand for any letters and any letter.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.reader.read(path.as_ref(), None, 0);
        self
    }

    /// Adds a text. `name` stands in messages, and files that the text names are looked for beside it.
    #[must_use]
    pub fn text(mut self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        self.reader.take(name.as_ref(), text.as_ref(), 0);
        self
    }

    /// Finds injected SQL and scripts in another way.
    #[must_use]
    pub fn detector(mut self, detector: Arc<dyn InjectionDetector>) -> Self {
        self.detector = detector;
        self
    }

    /// Keeps persistent collections elsewhere than in memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Compiles all that was added.
    ///
    /// # Errors
    ///
    /// Every mistake, with its place.
    pub fn build(self) -> Result<Arc<Rules>, RuleErrors> {
        let directives = self.reader.finish()?;
        let (program, notices) = compile(directives, self.loader)?;
        let engine = crate::engine::Engine::new(&program);
        Ok(Arc::new(Rules {
            program,
            detector: self.detector,
            engine,
            notices,
            store: self.store,
            texts: Mutex::new(Vec::new()),
        }))
    }
}
