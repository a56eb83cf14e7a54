//! Bytes between HTTP and files: a bounded amount in memory, whatever passes.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use super::answer::Body;

/// Pieces that wait for the network.
const AHEAD: usize = 4;

/// Bytes read from a file at once.
const PIECE: usize = 256 << 10;

/// Where pieces of an answer go, from a thread that may block.
pub type Sink = mpsc::Sender<io::Result<Bytes>>;

/// A body that `fill` writes on a thread of its own; `bytes` is its length, where that is known. An error ends the
/// connection, so that nobody takes what is there for the whole.
pub fn streamed(
    bytes: Option<u64>,
    fill: impl FnOnce(&Sink) -> io::Result<()> + Send + 'static,
) -> Body {
    let (sink, pieces) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = fill(&sink) {
            // Whoever reads may be gone; that is what the error says then.
            let _ = sink.blocking_send(Err(error));
        }
    });
    Pieces {
        pieces,
        left: bytes,
    }
    .boxed_unsync()
}

/// The bytes of an open file, `bytes` of them.
pub fn file(mut file: File, bytes: u64) -> Body {
    streamed(Some(bytes), move |sink| {
        let mut left = bytes;
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece)?;
            left -= piece.len() as u64;
            send(sink, piece.into())?;
        }
        Ok(())
    })
}

/// Hands one piece on.
///
/// # Errors
/// If nobody takes it any more.
pub fn send(sink: &Sink, piece: Bytes) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    sink.blocking_send(Ok(piece)).map_err(gone)
}

struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = ready!(self.pieces.poll_recv(cx));
        Poll::Ready(piece.map(|piece| {
            let piece = piece?;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(piece.len() as u64);
            }
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
