//! How the bytes of a chunk or a snapshot are packed, for stores that keep bytes: compressed, then sealed.
//!
//! They begin with two bytes: the format's version, and how the rest is packed. So the bytes say themselves how they are
//! read, and a setting that was changed makes nothing unreadable that is stored already.
//!
//! | packing | the rest |
//! | --- | --- |
//! | 0 | as it is |
//! | 1 | its length, 4 bytes, big-endian; then an LZ4 block |
//! | 2 | sealed, see [`seal`]; what is in it begins with the packing 0 or 1 |

#[cfg(feature = "compression")]
mod lz4;
#[cfg(feature = "encryption")]
mod seal;
#[cfg(test)]
mod tests;

#[cfg(feature = "encryption")]
pub(crate) use seal::{Duty, Vault};

use crate::RequestId;
use bytes::Bytes;
use std::fmt;

/// The version of the format.
const VERSION: u8 = 1;
/// The rest is as it is.
const PLAIN: u8 = 0;
/// The rest is an LZ4 block behind the length that it unpacks to.
const LZ4: u8 = 1;
/// The rest is sealed.
const SEALED: u8 = 2;

/// How many bytes precede what is packed.
const HEAD_BYTES: usize = 2;

/// A buffer for what is to be packed, with room for so many bytes.
pub(crate) fn begin(room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + room);
    out.extend_from_slice(&[VERSION, PLAIN]);
    out
}

/// Whether these are packed bytes, where they might be text of before.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// What is packed: one cannot be put in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Chunk = 1,
    Snapshot = 2,
    CorrelationId = 3,
}

/// How a store packs what it keeps. It reads everything that it can, however it was packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    /// Compress what becomes really smaller by it.
    #[cfg(feature = "compression")]
    pub(crate) compress: bool,
    /// The keys that seal and open.
    #[cfg(feature = "encryption")]
    pub(crate) vault: Option<Vault>,
}

impl Packing {
    /// Packs what is of this stream.
    pub(crate) const fn of(&self, id: RequestId) -> Packer<'_> {
        Packer { packing: self, id }
    }
}

/// Packs what is of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packer<'a> {
    #[cfg_attr(
        not(any(feature = "compression", feature = "encryption")),
        expect(dead_code, reason = "everything is packed as it is")
    )]
    packing: &'a Packing,
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only a seal is bound to a stream"))]
    id: RequestId,
}

impl Packer<'_> {
    /// Whether what is packed is sealed.
    pub(crate) fn seals(self) -> bool {
        #[cfg(feature = "encryption")]
        if let Some(vault) = &self.packing.vault {
            return vault.seals();
        }
        false
    }

    /// Whether what is not sealed is refused.
    pub(crate) fn requires_a_seal(self) -> bool {
        #[cfg(feature = "encryption")]
        if let Some(vault) = &self.packing.vault {
            return vault.requires();
        }
        false
    }

    /// Packs what was put into a buffer from [`begin`].
    pub(crate) fn pack(self, kind: Kind, plain: Vec<u8>) -> Bytes {
        #[cfg(feature = "compression")]
        let plain = if self.packing.compress { lz4::compress(&plain).unwrap_or(plain) } else { plain };
        #[cfg(feature = "encryption")]
        if let Some(vault) = self.packing.vault.as_ref().filter(|vault| vault.seals()) {
            return vault.seal(kind, self.id, &plain).into();
        }
        let _ = kind;
        plain.into()
    }

    /// What was packed. What is plain shares the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are damaged, are not what they are said to be, or packed in a way that cannot be read here.
    pub(crate) fn unpack(self, kind: Kind, bytes: &Bytes) -> Result<Bytes, PackError> {
        match bytes.get(..HEAD_BYTES) {
            #[cfg(feature = "encryption")]
            Some(&[VERSION, SEALED]) => match &self.packing.vault {
                Some(vault) => inner(&vault.open(kind, self.id, bytes)?),
                None => Err(PackError("sealed, and this store was given no keys")),
            },
            #[cfg(not(feature = "encryption"))]
            Some(&[VERSION, SEALED]) => {
                let _ = kind;
                Err(PackError("sealed, and tower-resume was built without the feature `encryption`"))
            }
            Some(&[VERSION, _]) if self.requires_a_seal() => Err(PackError("not sealed, as this store requires")),
            Some(&[VERSION, _]) => inner(&bytes.slice(1..)),
            Some(_) => Err(PackError("written in a version of the format that this one cannot read")),
            None => Err(PackError("it is cut short")),
        }
    }
}

/// What is behind the version byte, where it is not sealed (again).
fn inner(bytes: &Bytes) -> Result<Bytes, PackError> {
    match bytes.first() {
        Some(&PLAIN) => Ok(bytes.slice(1..)),
        #[cfg(feature = "compression")]
        Some(&LZ4) => lz4::decompress(bytes.get(1..).unwrap_or_default()),
        #[cfg(not(feature = "compression"))]
        Some(&LZ4) => Err(PackError("compressed, and tower-resume was built without the feature `compression`")),
        Some(_) => Err(PackError("packed in a way that this version cannot read")),
        None => Err(PackError("it is cut short")),
    }
}

/// Bytes that cannot be unpacked here. The text holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackError(pub(crate) &'static str);

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for PackError {}
