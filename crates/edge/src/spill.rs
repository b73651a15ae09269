//! Bodies that wait on disk: a large body that comes slowly holds no memory until it is judged.
//!
//! A file has no name (it is unlinked as it is made, so that nothing is left behind whatever happens) and only its
//! owner could read it (0600). Reading and writing are done on threads of their own: a worker never waits for a disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use haechi_upstream::OutBody;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::budget::{Budget, Share};
use crate::request_body::BodyError;

/// Where bodies wait, and how much of them.
#[derive(Debug)]
pub(crate) struct Spill {
    /// Bytes of one body that are held in memory; what is beyond goes to disk in pieces of this size.
    pub(crate) threshold: usize,
    /// Directory of the files.
    pub(crate) dir: Arc<Path>,
    /// Bytes on disk, all bodies together.
    pub(crate) disk: Budget,
}

/// A body on disk.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Arc<File>,
    length: u64,
    share: Share,
}

/// What is read at once of a body that is sent.
const READ: usize = 64 * 1024;

// === impl Spilled ===

impl Spilled {
    /// An empty file.
    pub(crate) async fn create(spill: &Spill) -> Result<Self, BodyError> {
        let dir = spill.dir.clone();
        let made = spawn_blocking(move || {
            std::fs::create_dir_all(&dir)?;
            tempfile::tempfile_in(&dir)
        });
        Ok(Self { file: Arc::new(done(made.await)?), length: 0, share: spill.disk.share() })
    }

    /// Its length.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends a piece.
    pub(crate) async fn append(&mut self, piece: Bytes) -> Result<(), BodyError> {
        self.share.take(piece.len()).map_err(|_| BodyError::NoDisk)?;
        let (file, at, length) = (self.file.clone(), self.length, piece.len() as u64);
        done(spawn_blocking(move || file.write_all_at(&piece, at)).await)?;
        self.length += length;
        Ok(())
    }

    /// Reads it whole, to be judged; the memory is taken of `budget`.
    pub(crate) async fn read(&self, budget: &Budget) -> Result<Bytes, BodyError> {
        let length = usize::try_from(self.length).map_err(|_| BodyError::NoMemory)?;
        let mut share = budget.share();
        share.take(length).map_err(|_| BodyError::NoMemory)?;
        let file = self.file.clone();
        let read = spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, 0).map(|()| bytes)
        });
        Ok(share.hold(Bytes::from(done(read.await)?)))
    }

    /// Sends it from where it is.
    pub(crate) fn into_body(self) -> OutBody {
        OutBody::Stream(Box::pin(FromDisk { spilled: self, at: 0, reading: None }))
    }
}

/// A body that is sent from disk.
struct FromDisk {
    spilled: Spilled,
    at: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body for FromDisk {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let left = self.spilled.length.saturating_sub(self.at);
        if left == 0 {
            return Poll::Ready(None);
        }
        let (file, at) = (self.spilled.file.clone(), self.at);
        let reading = self.reading.get_or_insert_with(|| {
            let size = usize::try_from(left).unwrap_or(READ).min(READ);
            spawn_blocking(move || {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
            })
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(Some(match done(read) {
            Ok(piece) => {
                self.at += piece.len() as u64;
                Ok(Frame::data(piece))
            }
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.spilled.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.spilled.length.saturating_sub(self.at))
    }
}

/// What a thread has done. One that is gone (the gateway stops) is an error like one of the disk.
fn done<T>(outcome: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, BodyError> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(BodyError::Disk(error)),
        Err(_) => Err(BodyError::Disk(io::ErrorKind::Interrupted.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::path::PathBuf;

    use super::*;

    fn spill(dir: PathBuf, disk: usize) -> Spill {
        Spill { threshold: 4, dir: dir.into(), disk: Budget::new(disk) }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn what_was_appended_is_read_and_sent_and_no_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let spill = spill(dir.path().join("made"), 200_000);
        run(async {
            let mut spilled = Spilled::create(&spill).await.unwrap();
            let pieces = [vec![b'a'; 100_000], vec![b'b'; 50_000]];
            for piece in &pieces {
                spilled.append(Bytes::from(piece.clone())).await.unwrap();
            }
            assert_eq!(std::fs::read_dir(dir.path().join("made")).unwrap().count(), 0);
            let whole = spilled.read(&Budget::new(150_000)).await.unwrap();
            assert_eq!(whole, pieces.concat());
            assert!(matches!(spilled.read(&Budget::new(149_999)).await, Err(BodyError::NoMemory)));
            let mut body = spilled.into_body();
            assert_eq!(body.size_hint().exact(), Some(150_000));
            let mut sent = Vec::new();
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                sent.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            assert_eq!(sent, whole);
        });
        assert_eq!(spill.disk.share().take(200_000), Ok(()), "the disk is free again");
    }

    #[test]
    fn a_budget_that_is_used_up_and_a_disk_that_is_not_there_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let small = spill(dir.path().to_owned(), 10);
        run(async {
            let mut spilled = Spilled::create(&small).await.unwrap();
            assert!(spilled.append(Bytes::from_static(b"0123456789")).await.is_ok());
            assert!(matches!(spilled.append(Bytes::from_static(b"x")).await, Err(BodyError::NoDisk)));
            let gone = spill("/proc/no-such-place".into(), 10);
            assert!(matches!(Spilled::create(&gone).await, Err(BodyError::Disk(_))));
        });
    }

    /// A file that can never hold anything: what a full disk says.
    #[test]
    fn a_full_disk_is_an_error() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut spilled = Spilled { file: Arc::new(full), length: 0, share: Budget::new(10).share() };
        let outcome = run(spilled.append(Bytes::from_static(b"x")));
        assert!(matches!(outcome, Err(BodyError::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
    }
}
