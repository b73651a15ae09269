//! Events as a body that goes on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

type Coming = Pin<Box<dyn Future<Output = (Result<Arc<str>, RecvError>, Receiver<Arc<str>>)> + Send>>;

/// Lines of the past, then those that come.
pub(crate) struct Tail {
    past: VecDeque<String>,
    coming: Option<Coming>,
}

// === impl Tail ===

impl Tail {
    pub(crate) fn new(past: Vec<String>, coming: Option<Receiver<Arc<str>>>) -> Self {
        Self { past: past.into(), coming: coming.map(next) }
    }
}

fn next(mut receiver: Receiver<Arc<str>>) -> Coming {
    Box::pin(async move {
        let line = receiver.recv().await;
        (line, receiver)
    })
}

impl Body for Tail {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(line) = self.past.pop_front() {
            return Poll::Ready(Some(Ok(frame(&line))));
        }
        loop {
            let Some(coming) = &mut self.coming else { return Poll::Ready(None) };
            let Poll::Ready((line, receiver)) = coming.as_mut().poll(cx) else { return Poll::Pending };
            self.coming = Some(next(receiver));
            match line {
                Ok(line) => return Poll::Ready(Some(Ok(frame(&line)))),
                // A reader that is too slow loses events, and sees how many: the spool has them.
                Err(RecvError::Lagged(count)) => {
                    return Poll::Ready(Some(Ok(frame(&format!(
                        "{{\"kind\":\"control\",\"action\":\"lines-missed\",\"weight\":{count}}}"
                    )))));
                }
                Err(RecvError::Closed) => self.coming = None,
            }
        }
    }
}

fn frame(line: &str) -> Frame<Bytes> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    Frame::data(bytes.into())
}
