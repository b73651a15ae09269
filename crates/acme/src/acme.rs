//! The certificates of one process: what is wanted, what there is, and the thread that brings them together.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::certificate::Certified;
use crate::challenges::Challenges;
use crate::files::Files;
use crate::order::{Clerk, OrderError, Wanted};
use crate::schedule;

/// Longest sleep: the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);
/// How long one order may take, all steps together.
const ORDER: Duration = Duration::from_secs(300);
/// Notices that wait to be taken; they come at most every few seconds, and are taken every second.
const NOTICES: usize = 64;

/// All certificates that are got by ACME. Outlives snapshots.
pub struct Acme {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    challenges: Arc<Challenges>,
    wanted: watch::Sender<Vec<Managed>>,
    notices: Arc<Mutex<VecDeque<Notice>>>,
    files: Option<Files>,
    provider: Arc<CryptoProvider>,
}

/// One certificate of a snapshot: what is wanted, and where it will be.
#[derive(Clone, Debug)]
pub struct Managed {
    /// Where the certificate is.
    pub slot: Arc<Slot>,
    wanted: Arc<Wanted>,
}

/// One certificate's place, the same over snapshots.
#[derive(Debug)]
pub struct Slot {
    certified: ArcSwapOption<Certified>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    failures: u32,
    /// When the next order is due; at once if there is neither this nor a certificate.
    next: Option<SystemTime>,
    error: Option<String>,
    ordering: bool,
}

/// Something that happened to a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The names.
    pub domains: String,
    /// Why there is no certificate; nothing if there is a new one.
    pub error: Option<String>,
}

/// How one certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// Whether it is being ordered now.
    pub ordering: bool,
    /// When it is ordered next.
    pub next: Option<SystemTime>,
    /// Why the last order failed, if it did.
    pub error: Option<String>,
}

// === impl Acme ===

impl Acme {
    /// Starts the thread that orders; it ends with the handle. `data` is the gateway's directory of state.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(data: &Path, provider: Arc<CryptoProvider>) -> std::io::Result<Arc<Self>> {
        let files = Files::new(data);
        let (acme, wanted) = Self::new(Some(files.clone()), provider);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker {
            files,
            challenges: acme.challenges.clone(),
            notices: acme.notices.clone(),
            provider: acme.provider.clone(),
        };
        std::thread::Builder::new()
            .name("haechi-acme".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, worker.run(wanted)))?;
        Ok(Arc::new(acme))
    }

    /// One that orders nothing and has nothing: for checking a configuration.
    pub fn idle(provider: Arc<CryptoProvider>) -> Arc<Self> {
        Arc::new(Self::new(None, provider).0)
    }

    fn new(files: Option<Files>, provider: Arc<CryptoProvider>) -> (Self, watch::Receiver<Vec<Managed>>) {
        let (sender, receiver) = watch::channel(Vec::new());
        let acme = Self {
            slots: Mutex::default(),
            challenges: Arc::default(),
            wanted: sender,
            notices: Arc::default(),
            files,
            provider,
        };
        (acme, receiver)
    }

    /// The place of a certificate, with what an earlier order brought. Nothing is ordered before [`serve`](Self::serve).
    pub fn manage(&self, wanted: Wanted) -> Managed {
        let wanted = Arc::new(wanted);
        let new = || {
            let slot = Slot { certified: ArcSwapOption::empty(), progress: Mutex::default() };
            if let Some(files) = &self.files {
                let clerk = Clerk { files, challenges: &self.challenges, provider: &self.provider };
                slot.certified.store(clerk.kept(&wanted).map(Arc::new));
            }
            Arc::new(slot)
        };
        let slot = lock(&self.slots).entry(wanted.file()).or_insert_with(new).clone();
        Managed { slot, wanted }
    }

    /// From now on these certificates are served: they are ordered and renewed, and no others.
    pub fn serve(&self, managed: Vec<Managed>) {
        lock(&self.slots).retain(|_, slot| managed.iter().any(|managed| Arc::ptr_eq(&managed.slot, slot)));
        for managed in &managed {
            // Something may have been mended.
            let mut progress = lock(&managed.slot.progress);
            if progress.error.is_some() && !progress.ordering {
                progress.next = None;
            }
        }
        self.wanted.send_replace(managed);
    }

    /// What servers that validate are told.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// What has happened since the last call, the oldest first.
    pub fn take_notices(&self) -> Vec<Notice> {
        lock(&self.notices).drain(..).collect()
    }
}

// === impl Managed ===

impl Managed {
    /// The names.
    pub fn domains(&self) -> &[String] {
        &self.wanted.domains
    }

    /// The server's directory.
    pub fn directory(&self) -> &str {
        &self.wanted.directory
    }
}

// === impl Slot ===

impl Slot {
    /// The certificate, if there is one yet.
    pub fn certified(&self) -> Option<Arc<Certified>> {
        self.certified.load_full()
    }

    /// How it is.
    pub fn status(&self) -> SlotStatus {
        let next = self.due();
        let progress = lock(&self.progress);
        SlotStatus { ordering: progress.ordering, next, error: progress.error.clone() }
    }

    /// When it is to be ordered; nothing means now.
    fn due(&self) -> Option<SystemTime> {
        let renewal = self.certified.load().as_ref().map(|certified| schedule::renewal(&certified.facts));
        let next = lock(&self.progress).next;
        // After a failure nothing is ordered before its pause is over, be the certificate as old as it may.
        match (next, renewal) {
            (Some(next), Some(renewal)) => Some(next.max(renewal)),
            (next, renewal) => next.or(renewal),
        }
    }

    fn begin(&self) {
        lock(&self.progress).ordering = true;
    }

    fn end(&self, outcome: Result<Certified, OrderError>, now: SystemTime, random: u32) -> Option<String> {
        let mut progress = lock(&self.progress);
        progress.ordering = false;
        match outcome {
            Ok(certified) => {
                self.certified.store(Some(Arc::new(certified)));
                *progress = Progress::default();
                None
            }
            Err(error) => {
                progress.failures = progress.failures.saturating_add(1);
                progress.next = Some(now + schedule::pause(progress.failures, error.failure, random));
                progress.error = Some(error.message.clone());
                Some(error.message)
            }
        }
    }
}

/// The thread's own things.
struct Worker {
    files: Files,
    challenges: Arc<Challenges>,
    notices: Arc<Mutex<VecDeque<Notice>>>,
    provider: Arc<CryptoProvider>,
}

// === impl Worker ===

impl Worker {
    /// Orders what is due, one after the other, until the handle is gone.
    async fn run(self, mut wanted: watch::Receiver<Vec<Managed>>) {
        loop {
            let all = wanted.borrow_and_update().clone();
            for managed in &all {
                if managed.slot.due().is_none_or(|due| due <= SystemTime::now()) {
                    self.order(managed).await;
                }
                // What is no longer wanted is not ordered.
                if wanted.has_changed().unwrap_or(true) {
                    break;
                }
            }
            let now = SystemTime::now();
            let next = all.iter().filter_map(|managed| managed.slot.due()).min();
            let sleep = next.map_or(LONGEST_SLEEP, |next| next.duration_since(now).unwrap_or_default());
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    async fn order(&self, managed: &Managed) {
        managed.slot.begin();
        let clerk = Clerk { files: &self.files, challenges: &self.challenges, provider: &self.provider };
        let outcome = match tokio::time::timeout(ORDER, clerk.obtain(&managed.wanted)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(OrderError {
                failure: schedule::Failure::Away,
                message: "the order did not end in time".to_owned(),
            }),
        };
        let mut random = [0; 4];
        let _ = getrandom::fill(&mut random);
        let error = managed.slot.end(outcome, SystemTime::now(), u32::from_le_bytes(random));
        let mut notices = lock(&self.notices);
        if notices.len() < NOTICES {
            notices.push_back(Notice { domains: managed.wanted.domains.join(", "), error });
        }
    }
}

/// Holders of these locks do not panic; if one ever did, what they guard is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
