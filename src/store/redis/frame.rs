//! What nodes send each other over their inboxes.
//!
//! A version byte, a kind byte, then fields of fixed length: ids as their bytes, numbers big-endian. A frame of
//! another version or kind is not for us.

use crate::{NodeId, RequestId, store::Ask};
use bytes::Bytes;

const VERSION: u8 = 1;

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Send what is appended to this stream to that inbox, for a while.
    Watch { id: RequestId, inbox: NodeId, from: u64 },
    /// Send no more of it.
    Unwatch { id: RequestId, inbox: NodeId },
    /// How far the stream's log has come, `None` where nothing of it was stored; and whether the node knows the stream.
    State { id: RequestId, last: Option<u64>, ended: bool, knows: bool },
    /// A chunk that the log now holds.
    Chunk { id: RequestId, chunk: Bytes },
    /// A message to oneself: whoever reads it is subscribed.
    Probe(u64),
    /// A question about a stream; the answer goes to that inbox.
    Ask { id: RequestId, inbox: NodeId, nonce: u64, ask: Ask },
    /// The answer to the question of this nonce.
    Answer { nonce: u64, knows: bool },
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(48);
        out.push(VERSION);
        match self {
            Self::Watch { id, inbox, from } => {
                out.push(1);
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(inbox.as_bytes());
                out.extend_from_slice(&from.to_be_bytes());
            }
            Self::Unwatch { id, inbox } => {
                out.push(2);
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(inbox.as_bytes());
            }
            Self::State { id, last, ended, knows } => {
                out.push(3);
                out.extend_from_slice(id.as_bytes());
                out.push(u8::from(last.is_some()) | u8::from(*ended) << 1 | u8::from(*knows) << 2);
                out.extend_from_slice(&last.unwrap_or(0).to_be_bytes());
            }
            Self::Chunk { id, chunk } => {
                out.reserve_exact(18 + chunk.len());
                out.push(4);
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(chunk);
            }
            Self::Probe(nonce) => {
                out.push(5);
                out.extend_from_slice(&nonce.to_be_bytes());
            }
            Self::Ask { id, inbox, nonce, ask } => {
                out.push(6);
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(inbox.as_bytes());
                out.extend_from_slice(&nonce.to_be_bytes());
                out.push(match ask {
                    Ask::Known => 0,
                    Ask::Amiss => 1,
                    Ask::Cancel => 2,
                });
            }
            Self::Answer { nonce, knows } => {
                out.push(7);
                out.extend_from_slice(&nonce.to_be_bytes());
                out.push(u8::from(*knows));
            }
        }
        out.into()
    }

    /// `None` for what this version of the crate does not understand.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let (head, body) = bytes.split_first_chunk::<2>()?;
        let [VERSION, kind] = *head else { return None };
        match kind {
            5 => return Some(Self::Probe(number(body)?.0)),
            7 => {
                let (nonce, body) = number(body)?;
                return Some(Self::Answer { nonce, knows: *body.first()? != 0 });
            }
            _ => {}
        }
        let (id, body) = body.split_first_chunk::<16>()?;
        let id = RequestId::from_bytes(*id);
        Some(match kind {
            1 => {
                let (inbox, body) = body.split_first_chunk::<8>()?;
                Self::Watch { id, inbox: NodeId::from_bytes(*inbox), from: number(body)?.0 }
            }
            2 => Self::Unwatch { id, inbox: NodeId::from_bytes(*body.first_chunk::<8>()?) },
            3 => {
                let (flags, body) = body.split_first()?;
                let last = number(body)?.0;
                Self::State { id, last: (flags & 1 != 0).then_some(last), ended: flags & 2 != 0, knows: flags & 4 != 0 }
            }
            4 => Self::Chunk { id, chunk: bytes.slice_ref(body) },
            6 => {
                let (inbox, body) = body.split_first_chunk::<8>()?;
                let (nonce, body) = number(body)?;
                let ask = match body.first()? {
                    0 => Ask::Known,
                    1 => Ask::Amiss,
                    2 => Ask::Cancel,
                    _ => return None,
                };
                Self::Ask { id, inbox: NodeId::from_bytes(*inbox), nonce, ask }
            }
            _ => return None,
        })
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_one_cut_short_does_not() {
        let (id, inbox) = (RequestId::random(), NodeId::random());
        for frame in [
            Frame::Watch { id, inbox, from: 7 },
            Frame::Unwatch { id, inbox },
            Frame::State { id, last: Some(u64::MAX), ended: true, knows: false },
            Frame::State { id, last: None, ended: false, knows: true },
            Frame::Chunk { id, chunk: Bytes::from_static(b"chunk") },
            Frame::Probe(9),
            Frame::Ask { id, inbox, nonce: 1 << 40, ask: Ask::Known },
            Frame::Ask { id, inbox, nonce: 3, ask: Ask::Amiss },
            Frame::Ask { id, inbox, nonce: 4, ask: Ask::Cancel },
            Frame::Answer { nonce: 5, knows: true },
        ] {
            let bytes = frame.encode();
            assert_eq!(Frame::decode(&bytes), Some(frame.clone()));
            for cut in 0..bytes.len() {
                assert_ne!(Frame::decode(&bytes.slice(..cut)), Some(frame.clone()), "cut at {cut}");
            }
        }
        assert_eq!(Frame::decode(&Bytes::from_static(b"\x02\x05........")), None, "another version");
        assert_eq!(Frame::decode(&Bytes::from_static(b"\x01\x63................")), None, "another kind");
    }
}
