//! A connection that ends when nothing moves on it for too long, unless its client waits for an answer in work.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::admin::answer::Body;

/// Whether an answer is in work. HTTP/1 has one at a time on a connection.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

/// An answer in work; over when dropped.
pub(super) struct Working(Arc<AtomicBool>);

impl Busy {
    /// A request came.
    pub(super) fn begin(&self) -> Working {
        self.0.store(true, Ordering::Relaxed);
        Working(self.0.clone())
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Working {
    /// It is in work until the last byte of `body` was taken.
    pub(super) fn until_sent(self, body: Body) -> Sent {
        Sent {
            body,
            _working: self,
        }
    }
}

/// The body of an answer that is in work while the body is there.
pub(super) struct Sent {
    body: Body,
    _working: Working,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A socket whose reads and writes fail once nothing moved for `limit`.
pub(super) struct Idle<S> {
    stream: S,
    limit: Option<Duration>,
    busy: Busy,
    reading: Wait,
    writing: Wait,
}

/// How long one direction waits already.
struct Wait {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
}

impl Wait {
    fn new() -> Self {
        Wait {
            sleep: Box::pin(sleep(Duration::ZERO)),
            armed: false,
        }
    }

    /// Fails when `limit` has passed since something moved.
    fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>) -> Poll<io::Error> {
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        if !self.armed {
            self.armed = true;
            self.sleep.as_mut().reset(Instant::now() + limit);
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.armed = false;
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncWrite + Unpin> Idle<S> {
    pub(super) fn new(stream: S, limit: Option<Duration>, busy: Busy) -> Self {
        Idle {
            stream,
            limit,
            busy,
            reading: Wait::new(),
            writing: Wait::new(),
        }
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(done) => {
                (self.writing.armed, self.reading.armed) = (false, false);
                Poll::Ready(done)
            }
            Poll::Pending => self.writing.poll(cx, self.limit).map(Err),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(done) => {
                this.reading.armed = false;
                Poll::Ready(done)
            }
            // Who sends a body slowly is the command's to judge.
            Poll::Pending if this.busy.is_set() => {
                this.reading.armed = false;
                Poll::Pending
            }
            Poll::Pending => this.reading.poll(cx, this.limit).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
