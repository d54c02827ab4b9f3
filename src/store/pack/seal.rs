//! Encryption at rest, by XChaCha20-Poly1305.
//!
//! Its nonces are 24 bytes, so that nodes can choose them at random, with no counter between them and no bound that a
//! busy service would reach; and it is fast and of constant time on any processor.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version |
//! | 1 | packing: sealed |
//! | 1 | key id: tells which secret of the ring sealed it |
//! | 24 | nonce |
//! | the rest | sealed: the packing of what is in it, and that |
//! | 16 | tag |
//!
//! The tag also covers the first three bytes, what it is, and the stream's id. A chunk's position is in what is sealed.

use super::{HEAD_BYTES, Kind, PackError, SEALED, VERSION};
use crate::{Keys, RequestId};
use bytes::Bytes;
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use std::{fmt, sync::Arc};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What precedes what is sealed.
const FRONT_BYTES: usize = HEAD_BYTES + 1 + NONCE_BYTES;

/// The keys that seal and open what is stored: the first seals, all of them open.
#[derive(Clone)]
pub(crate) struct Vault {
    ring: Arc<[Key]>,
    duty: Duty,
}

/// What a vault is there for. Each does what those before it do, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    /// It opens what others have sealed.
    Open,
    /// It seals.
    Seal,
    /// It refuses what is not sealed.
    Require,
}

struct Key {
    id: u8,
    cipher: XChaCha20Poly1305,
}

impl Vault {
    pub(crate) fn new(keys: &Keys, duty: Duty) -> Self {
        let key = |(id, key): (u8, [u8; 32])| Key { id, cipher: XChaCha20Poly1305::new(&key.into()) };
        Self { ring: keys.store_keys().map(key).collect(), duty }
    }

    pub(super) fn seals(&self) -> bool {
        self.duty >= Duty::Seal
    }

    pub(super) fn requires(&self) -> bool {
        self.duty >= Duty::Require
    }

    /// Seals packed bytes.
    #[expect(clippy::expect_used, reason = "a ring holds a secret; ChaCha20 takes up to 256 GiB")]
    pub(super) fn seal(&self, kind: Kind, id: RequestId, packed: &[u8]) -> Vec<u8> {
        let key = self.ring.first().expect("a ring holds a secret");
        let nonce: [u8; NONCE_BYTES] = crate::id::random();
        // The version goes in front; how it is packed is nobody's business.
        let body = packed.get(1..).unwrap_or_default();
        let mut out = Vec::with_capacity(FRONT_BYTES + body.len() + TAG_BYTES);
        out.extend_from_slice(&[VERSION, SEALED, key.id]);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(body);
        let inside = out.get_mut(FRONT_BYTES..).unwrap_or_default();
        let context = context(key.id, kind, id);
        let tag = key.cipher.encrypt_inout_detached(&XNonce::from(nonce), &context, inside.into());
        out.extend_from_slice(&tag.expect("it is not too long"));
        out
    }

    /// What was sealed: its packing, and the rest.
    pub(super) fn open(&self, kind: Kind, id: RequestId, bytes: &Bytes) -> Result<Bytes, PackError> {
        let short = PackError("it is cut short");
        let (&[_, _, key_id], rest) = bytes.split_first_chunk().ok_or(short)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(short)?;
        // Ids are one byte, so two secrets may share one: all that have it are tried.
        let mut keys = self.ring.iter().filter(|key| key.id == key_id).peekable();
        if keys.peek().is_none() {
            return Err(PackError("sealed with a key that is not in this store's ring"));
        }
        let context = context(key_id, kind, id);
        for key in keys {
            let mut inside = sealed.to_vec();
            let buffer = inside.as_mut_slice().into();
            if key.cipher.decrypt_inout_detached(&XNonce::from(*nonce), &context, buffer, &(*tag).into()).is_ok() {
                return Ok(inside.into());
            }
        }
        Err(PackError("its seal does not hold: it was changed, or belongs elsewhere"))
    }
}

/// What the tag covers beside what is sealed.
fn context(key_id: u8, kind: Kind, id: RequestId) -> [u8; 20] {
    let mut context = [0; 20];
    let (front, stream) = context.split_at_mut(4);
    front.copy_from_slice(&[VERSION, SEALED, key_id, kind as u8]);
    stream.copy_from_slice(id.as_bytes());
    context
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.ring.len()).field("duty", &self.duty).finish_non_exhaustive()
    }
}
