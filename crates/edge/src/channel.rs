//! The bytes of one HTTP/1 connection, shared by its request loop and the body that is being read.
//!
//! Both live on the same worker thread, and neither holds a borrow across a suspension, so a `RefCell` is enough:
//! an upload is read by the upstream connection's task while the request loop already writes the response.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use haechi_upstream::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read from a socket at once.
pub(crate) const READ_CHUNK: usize = 16 * 1024;

/// One buffer a worker, into which every socket of that worker is read. What was read is then copied to a buffer of
/// its exact size: an idle connection owns no buffer at all, which is what keeps it small.
pub(crate) type Scratch = Rc<RefCell<Box<[u8]>>>;

/// A connection's stream and the bytes read from it that nobody has consumed yet.
pub(crate) struct Channel {
    stream: RefCell<Stream>,
    unread: RefCell<BytesMut>,
    scratch: Scratch,
    received: Cell<u64>,
}

// === impl Channel ===

impl Channel {
    pub(crate) fn new(stream: Stream, unread: BytesMut, scratch: Scratch) -> Self {
        let received = Cell::new(unread.len() as u64);
        Self { stream: RefCell::new(stream), unread: RefCell::new(unread), scratch, received }
    }

    /// A fresh scratch buffer, one a worker.
    pub(crate) fn scratch() -> Scratch {
        Rc::new(RefCell::new(vec![0; READ_CHUNK].into_boxed_slice()))
    }

    /// Works on the unread bytes. Must not suspend or call back into the channel.
    pub(crate) fn with_unread<T>(&self, work: impl FnOnce(&mut BytesMut) -> T) -> T {
        let mut unread = self.unread.borrow_mut();
        let result = work(&mut unread);
        if unread.is_empty() {
            // Lets go of the memory: an idle connection holds none.
            *unread = BytesMut::new();
        }
        result
    }

    /// Whether bytes wait to be consumed: the next request of a pipeline, or the rest of a body.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.borrow().is_empty()
    }

    /// Bytes received so far (after TLS).
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Reads what is there, up to [`READ_CHUNK`] bytes. Zero means the peer has finished sending.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = self.scratch.borrow_mut();
        let mut read = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
        let filled = read.filled();
        self.received.set(self.received.get() + filled.len() as u64);
        let mut unread = self.unread.borrow_mut();
        if unread.is_empty() {
            *unread = BytesMut::from(filled);
        } else {
            unread.extend_from_slice(filled);
        }
        Poll::Ready(Ok(filled.len()))
    }

    /// Writes some of `first` then `second`; answers how much.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let stream = Pin::new(&mut *stream);
        match (first, second) {
            (one, []) | ([], one) => stream.poll_write(cx, one),
            _ => stream.poll_write_vectored(cx, &[io::IoSlice::new(first), io::IoSlice::new(second)]),
        }
    }

    /// Hands what was written to the network.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    /// Whether the peer has gone: it has closed its side, or the connection broke. What it sends instead is kept.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_unread() {
            return Poll::Pending;
        }
        match ready!(self.poll_fill(cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// A channel as plain bytes, for a protocol that is not HTTP: what is unread comes first.
pub(crate) struct ChannelIo(pub(crate) Rc<Channel>);

impl AsyncRead for ChannelIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let channel = &self.0;
        if channel.has_unread() {
            channel.with_unread(|unread| {
                let count = unread.len().min(buf.remaining());
                buf.put_slice(&unread.split_to(count));
            });
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *channel.stream.borrow_mut()).poll_read(cx, buf)
    }
}

impl AsyncWrite for ChannelIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, data, b"")
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
