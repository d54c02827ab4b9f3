//! Where a client is in its stream, and what each block makes of that.

use super::{
    control::{Control, Greeting, seq, status},
    item::{self, End, Gap, GapReason, Item, Snapshot},
    life::Life,
    parser::{Block, Message},
    token::Token,
};
use crate::EndStatus;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a client is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    token: Option<Token>,
    /// The cursor that the token stands for, where that is known. Else the server knows best.
    token_at: Option<u64>,
    /// Where to come back to. It is not moved by a gap, but by what follows: that may be a snapshot, which a client that
    /// comes back behind the gap would not get.
    at: u64,
    life: Life,
    request_id: Option<String>,
    /// The id of a plain stream, without the layer.
    last_id: String,
    /// Whether the server has said where it begins. Seqs are the stream's own then.
    placed: bool,
    /// The last event that the response has told of.
    read: u64,
    /// The last event that the client has had, or was told that it is gone.
    had: u64,
    /// A snapshot is announced.
    snapshot: Option<(u64, Option<EndStatus>)>,
    /// This response has been seen to be one of the layer's.
    known: bool,
}

/// What a block comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing that the consumer is told of.
    Nothing,
    Item(Item),
    /// A control event that changes nothing for the consumer, who may want to see it all the same.
    Control(item::Control),
    Duplicate,
    End(End),
    /// The response is not that of the stream that was asked for.
    Foreign,
    TooLarge,
}

/// A cursor as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    token: String,
    #[serde(deserialize_with = "seq")]
    seq: u64,
    #[serde(deserialize_with = "seq")]
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl Cursor {
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(Token::as_str)
    }

    /// What `X-Resume-From` has to say beside the token, if anything.
    pub(super) fn from(&self) -> Option<u64> {
        (self.placed && self.token_at.is_some_and(|at| at != self.at)).then_some(self.at)
    }

    pub(super) const fn seq(&self) -> u64 {
        self.had
    }

    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    pub(super) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// Whether the token is past its time.
    pub(super) fn is_expired(&self) -> bool {
        self.life.left().is_some_and(|left| left.is_zero())
    }

    /// How long the token can be used, where that is known.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.life.left()
    }

    /// A new response. `skew` is how far the server's clock is ahead, in milliseconds.
    pub(super) fn begin(&mut self, token: Option<&str>, stream: Option<&str>, skew: i64) {
        self.snapshot = None;
        self.known = token.is_some();
        self.life.set_skew(skew);
        if self.token.is_none() {
            self.token = token.and_then(Token::given);
            self.request_id = stream.map(str::to_owned).or(self.request_id.take());
        }
        if self.token.is_none() && !self.placed {
            // A plain stream's next response: what comes is new, as far as anybody can tell.
            self.read = self.had;
        }
    }

    /// Whether nothing has been said so far that only the layer says.
    pub(super) const fn is_plain(&self) -> bool {
        self.token.is_none()
    }

    /// Takes in a block. `resumed` says that the response is to go on from here, `name` what control events are called.
    pub(super) fn take(&mut self, block: Block, name: &str, resumed: bool) -> Taken {
        let message = match block {
            Block::Message(message) => message,
            Block::TooLarge => return Taken::TooLarge,
            Block::Comments(lines) => {
                let control = lines.iter().find_map(|line| {
                    let json = line.strip_prefix(name)?.strip_prefix(' ')?;
                    Some((Control::parse(json)?, json))
                });
                let Some((control, json)) = control else { return Taken::Nothing };
                return self.control(control, json, resumed, None);
            }
        };
        if message.name == name
            && let Some(json) = message.data.as_deref()
            && let Some(control) = Control::parse(json)
        {
            return self.control(control, json, resumed, message.id.as_deref());
        }
        if resumed && !self.known {
            return Taken::Foreign;
        }
        self.message(message)
    }

    fn message(&mut self, message: Message) -> Taken {
        let Message { name, data, id, .. } = message;
        if let (Some((seq, status)), Some(data)) = (self.snapshot, &data) {
            self.snapshot = None;
            self.read = self.read.max(seq);
            self.had = self.had.max(self.read);
            self.dispatched(id.as_deref());
            return Taken::Item(Item::Snapshot(Snapshot { seq, status, name, data: data.clone() }));
        }
        // By the grammar nobody is told of a block with no data. It has its place in the stream all the same.
        self.read += 1;
        if self.read <= self.had {
            return if data.is_some() { Taken::Duplicate } else { Taken::Nothing };
        }
        self.had = self.read;
        self.dispatched(id.as_deref());
        let Some(data) = data else { return Taken::Nothing };
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Taken::Item(Item::Event(item::Event { name, data, id: self.last_id.clone(), seq: self.read }))
    }

    fn control(&mut self, control: Control, json: &str, resumed: bool, id: Option<&str>) -> Taken {
        let shown = item::Control { phase: control.phase().to_owned(), json: json.to_owned() };
        match control {
            Control::Open(greeting) => {
                if resumed || !self.is_of(&greeting) {
                    return Taken::Foreign;
                }
                self.greeted(greeting);
                Taken::Control(shown)
            }
            Control::Replay(greeting) => {
                if !self.is_of(&greeting) {
                    return Taken::Foreign;
                }
                let (first, from) = (!self.placed, greeting.from);
                self.greeted(greeting);
                if first {
                    // It joins a stream that began without it, from where the server lets it.
                    (self.had, self.at) = (from, from);
                }
                match self.gap(self.had + 1, from, GapReason::Lost) {
                    Taken::Item(gap) => {
                        self.at = from;
                        Taken::Item(gap)
                    }
                    _ => Taken::Control(shown),
                }
            }
            Control::Gap { from, to, reason } => {
                self.read = self.read.max(to);
                self.note_id(id, None);
                self.gap(from, to, reason)
            }
            Control::Live {} => {
                self.moved(id);
                Taken::Control(shown)
            }
            Control::Snapshot { seq, status: word } => {
                self.note_id(id, None);
                self.snapshot = Some((seq, status(&word)));
                Taken::Nothing
            }
            Control::Token { token, expires_at } => {
                self.moved(id);
                self.note_token(&token, expires_at, Some(self.read));
                Taken::Control(shown)
            }
            Control::Wait { token } => {
                if let Some(token) = token {
                    self.note_token(&token, None, None);
                }
                Taken::Control(shown)
            }
            Control::End { status: word, seq, diagnostics } => {
                let status = status(&word).unwrap_or(EndStatus::Error);
                Taken::End(End { status, seq, diagnostics })
            }
        }
    }

    /// Whether a response is that of this client's stream.
    fn is_of(&self, greeting: &Greeting) -> bool {
        self.request_id.as_ref().is_none_or(|known| *known == greeting.request_id)
    }

    fn greeted(&mut self, greeting: Greeting) {
        self.known = true;
        self.placed = true;
        self.read = greeting.from;
        self.note_token(&greeting.token, greeting.expires_at, Some(greeting.from));
        self.request_id = Some(greeting.request_id);
    }

    /// Events that are gone, as far as the client does not have them.
    fn gap(&mut self, from: u64, to: u64, reason: GapReason) -> Taken {
        let from = from.max(self.had + 1);
        if to < from {
            return Taken::Nothing;
        }
        self.had = to;
        Taken::Item(Item::Gap(Gap { from, to, reason }))
    }

    fn dispatched(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            id.clone_into(&mut self.last_id);
        }
        self.moved(id);
    }

    /// What was there up to here has been taken in whole. The id says so, if it is a token.
    fn moved(&mut self, id: Option<&str>) {
        if self.read < self.had {
            // The response began further back, and has not caught up.
            return;
        }
        self.at = self.read;
        self.note_id(id, Some(self.read));
    }

    fn note_id(&mut self, id: Option<&str>, at: Option<u64>) {
        if let Some(token) = id.and_then(|id| self.token.as_ref()?.like(id)) {
            (self.token, self.token_at) = (Some(token), at);
            self.life.renew();
        }
    }

    fn note_token(&mut self, token: &str, expires_at: Option<u64>, at: Option<u64>) {
        if let Some(token) = Token::given(token) {
            (self.token, self.token_at) = (Some(token), at);
            self.life.set(expires_at);
        }
    }

    /// The cursor as text, to be kept; `None` while there is no token.
    pub(super) fn keep(&self) -> Option<String> {
        let kept = Kept {
            token: self.token()?.to_owned(),
            seq: self.had,
            at: self.at,
            token_at: self.token_at,
            request_id: self.request_id.clone(),
            expires_at: self.life.ends_at(),
        };
        serde_json::to_string(&kept).ok()
    }

    /// The cursor that was kept as this text; `None` if it is of no use any more. With `again`, the stream is wanted
    /// from its start.
    pub(super) fn restore(text: &str, again: bool) -> Option<Self> {
        let Kept { token, seq, at, token_at, request_id, expires_at } = serde_json::from_str(text).ok()?;
        let life = Life::until(expires_at)?;
        let token = Some(Token::given(&token)?);
        let cursor =
            Self { token, token_at, at, life, request_id, placed: true, read: seq, had: seq, ..Self::default() };
        let elsewhere = Some(token_at.unwrap_or(u64::MAX));
        Some(if again { Self { token_at: elsewhere, at: 0, read: 0, had: 0, ..cursor } } else { cursor })
    }
}

/// The longest wait that a block asks for before the next attempt, if it says anything of that.
pub(super) const fn retry(block: &Block) -> Option<Duration> {
    match block {
        Block::Message(message) => message.retry,
        _ => None,
    }
}
