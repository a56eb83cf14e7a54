//! One connection for elections: what is heard goes to the commit loop, the newest word goes out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::base::ServerId;
use crate::runtime::mailbox::{Message, Pace};
use crate::zab::io::Input;
use crate::zab::vote::{Notification, take_frame};

/// A connection in use.
pub struct Running {
    pub server: ServerId,
    pub remote: SocketAddr,
    pub number: u64,
    /// Set when the connection is not wanted any more.
    pub end: CancellationToken,
    /// Told when there is a new word.
    pub news: Arc<Notify>,
    pub shared: Arc<Shared>,
}

impl Running {
    /// Runs until the connection fails or is not wanted any more. `rest` came behind the initial message.
    pub async fn run(self, stream: TcpStream, rest: BytesMut) {
        let (from, to) = stream.into_split();
        let ended = tokio::select! {
            () = self.end.cancelled() => return,
            heard = self.hear(from, rest) => heard,
            told = self.tell(to) => told,
        };
        match ended {
            Ok(()) => tracing::info!("server {} closed its election connection", self.server),
            Err(error) => self
                .shared
                .complain(self.remote, format_args!("server {}: {error}", self.server)),
        }
        self.shared.lost(self.server, self.number);
    }

    /// Ends well at the end of the stream.
    async fn hear(&self, mut from: OwnedReadHalf, mut heard: BytesMut) -> io::Result<()> {
        let mut pace = Pace::default();
        loop {
            let refused = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            while let Some(frame) = take_frame(&mut heard).map_err(refused)? {
                let bytes = frame.len();
                match Notification::decode(frame) {
                    Ok(notification) => {
                        let from = self.server;
                        let input = Input::Notification { from, notification };
                        self.shared.mailbox.push(Message::peer(input));
                    }
                    // Java drops it and goes on, too.
                    Err(error) => self
                        .shared
                        .complaints
                        .say(format_args!("server {}: dropped {error}", self.server)),
                }
                pace.keep(&self.shared.mailbox, bytes + OVERHEAD_BYTES)
                    .await;
            }
            heard.reserve(READ_BYTES);
            if from.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn tell(&self, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut is_new = true;
        loop {
            while let Some(word) = self.shared.next_word(self.server, self.number, is_new) {
                is_new = false;
                to.write_all(&word).await?;
            }
            is_new = false;
            self.news.notified().await;
        }
    }
}

/// What a message costs beside its bytes while it waits.
const OVERHEAD_BYTES: usize = 256;

/// Room for what is read at once; a notification is about half of it.
const READ_BYTES: usize = 1 << 10;
