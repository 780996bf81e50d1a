//! The server's messages, one by one and within bounds.

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::failure::Step;
use crate::failure::{Failure, quoted};

/// The longest message before the server has let us in. An honest one is far shorter; libpq allows 2000 bytes for most.
const LONGEST_BEFORE_LOGIN: usize = 8 * 1024;
/// The longest message after it.
const LONGEST: usize = 64 * 1024;
/// The most bytes of a whole conversation.
const MOST_BYTES: usize = 256 * 1024;
/// The most messages of a whole conversation. An honest server sends about thirty.
const MOST_MESSAGES: usize = 256;

/// A conversation with a server.
pub(super) struct Messages<S> {
    stream: S,
    step: Step,
    buffer: BytesMut,
    longest: usize,
    bytes: usize,
    messages: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub(super) fn over(stream: S) -> Self {
        Self {
            stream,
            step: Step::Login,
            buffer: BytesMut::new(),
            longest: LONGEST_BEFORE_LOGIN,
            bytes: 0,
            messages: 0,
        }
    }

    /// We are let in: messages may be longer from now on.
    pub(super) fn logged_in(&mut self) {
        self.longest = LONGEST;
        self.step = Step::Question;
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            // The length is judged before the library sees it, which would make room for whatever it says.
            let header = Header::parse(&self.buffer).map_err(|error| nonsense(&error))?;
            let length = header.map_or(0, |header| usize::try_from(header.len()).unwrap_or(usize::MAX));
            if length > self.longest {
                let message = format!("a message of {length} bytes, where {} are the most", self.longest);
                return Err(Failure::not_postgres(message));
            }
            if let Some(message) = Message::parse(&mut self.buffer).map_err(|error| nonsense(&error))? {
                self.messages += 1;
                if self.messages > MOST_MESSAGES {
                    return Err(Failure::not_postgres("the server does not stop sending messages"));
                }
                return Ok(message);
            }
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(|error| self.step.failed(&error))?;
            if read == 0 {
                return Err(self.step.failed(&std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.bytes += read;
            if self.bytes > MOST_BYTES {
                return Err(Failure::not_postgres("the server does not stop sending"));
            }
        }
    }

    /// Sends one or more messages.
    pub(super) async fn send(&mut self, messages: &[u8]) -> Result<(), Failure> {
        let sent = async {
            self.stream.write_all(messages).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| self.step.failed(&error))
    }

    /// Ends the conversation in the way that leaves no complaint in the server's log.
    pub(super) async fn leave(&mut self) -> std::io::Result<()> {
        let mut terminate = BytesMut::new();
        frontend::terminate(&mut terminate);
        self.stream.write_all(&terminate).await?;
        self.stream.shutdown().await
    }
}

fn nonsense(error: &std::io::Error) -> Failure {
    Failure::not_postgres(format!("it does not keep to the protocol: {}", quoted(error.to_string().as_bytes())))
}
