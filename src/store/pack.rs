//! How the bytes of a chunk or a snapshot are packed, for stores that keep bytes.
//!
//! They begin with two bytes: the format's version, and how the rest is packed. So the bytes say themselves how they are
//! read, and a setting that was changed makes nothing unreadable that is stored already.
//!
//! | packing | the rest |
//! | --- | --- |
//! | 0 | as it is |
//! | 1 | its length, 4 bytes, big-endian; then an LZ4 block |

#[cfg(feature = "compression")]
mod lz4;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use std::fmt;

/// The version of the format.
const VERSION: u8 = 1;
/// The rest is as it is.
const PLAIN: u8 = 0;
/// The rest is an LZ4 block behind the length that it unpacks to.
const LZ4: u8 = 1;

/// How many bytes precede what is packed.
const HEAD_BYTES: usize = 2;

/// A buffer for what is to be packed, with room for so many bytes.
pub(crate) fn begin(room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + room);
    out.extend_from_slice(&[VERSION, PLAIN]);
    out
}

/// How a store packs what it keeps. It reads everything, however it was packed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    /// Compress what becomes really smaller by it.
    #[cfg(feature = "compression")]
    pub(crate) compress: bool,
}

impl Packing {
    /// Packs what was put into a buffer from [`begin`].
    pub(crate) fn pack(&self, plain: Vec<u8>) -> Bytes {
        #[cfg(feature = "compression")]
        if self.compress
            && let Some(packed) = lz4::compress(&plain)
        {
            return packed.into();
        }
        plain.into()
    }

    /// What was packed. What is plain shares the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are damaged, or packed in a way that is not known here.
    #[expect(clippy::unused_self, reason = "what is sealed needs its keys")]
    pub(crate) fn unpack(&self, bytes: &Bytes) -> Result<Bytes, PackError> {
        match bytes.get(..HEAD_BYTES) {
            Some(&[VERSION, PLAIN]) => Ok(bytes.slice(HEAD_BYTES..)),
            #[cfg(feature = "compression")]
            Some(&[VERSION, LZ4]) => lz4::decompress(bytes.get(HEAD_BYTES..).unwrap_or_default()),
            #[cfg(not(feature = "compression"))]
            Some(&[VERSION, LZ4]) => {
                Err(PackError("compressed, and tower-resume was built without the feature `compression`"))
            }
            Some(&[VERSION, _]) => Err(PackError("packed in a way that this version cannot read")),
            Some(_) => Err(PackError("written in a version of the format that this one cannot read")),
            None => Err(PackError("it is cut short")),
        }
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
