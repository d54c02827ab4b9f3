//! Compression, by LZ4: it costs a fraction of what sending the same bytes does, and its safe Rust is all that it brings.

use super::{HEAD_BYTES, LZ4, PackError, VERSION};
use bytes::Bytes;
use lz4_flex::block;

/// What is smaller is left as it is: a token of an LLM's answer has nothing to repeat.
const WORTH_BYTES: usize = 256;

/// The most that bytes unpack to, whatever they claim, and so the most that is packed. A chunk is 16 KiB or one event;
/// an event or a snapshot that is larger than this stays as it is.
const UNPACKED_MAX: usize = 8 * 1024 * 1024;

/// The most that LZ4 makes of a byte: one that lengthens a match by 255. A length beyond that is a lie, which is seen
/// before there is memory for it.
const RATIO_MAX: usize = 255;

const LENGTH_BYTES: usize = 4;

/// `plain`, head and all, in its packed form; `None` where that is not smaller by an eighth, as reading it costs too.
pub(super) fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let body = plain.get(HEAD_BYTES..)?;
    if !(WORTH_BYTES..=UNPACKED_MAX).contains(&body.len()) {
        return None;
    }
    let front = HEAD_BYTES + LENGTH_BYTES;
    let mut packed = vec![0; front + block::get_maximum_output_size(body.len())];
    let len = block::compress_into(body, packed.get_mut(front..)?).ok()?;
    if len + LENGTH_BYTES > body.len() - body.len() / 8 {
        return None;
    }
    packed.truncate(front + len);
    packed.shrink_to_fit();
    let (head, rest) = packed.split_first_chunk_mut()?;
    *head = [VERSION, LZ4];
    *rest.first_chunk_mut()? = u32::try_from(body.len()).ok()?.to_be_bytes();
    Some(packed)
}

/// What [`compress`] packed, without the head.
pub(super) fn decompress(packed: &[u8]) -> Result<Bytes, PackError> {
    let (length, block) = packed.split_first_chunk().ok_or(PackError("it is cut short"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > UNPACKED_MAX.min(block.len().saturating_mul(RATIO_MAX)) {
        return Err(PackError("it claims to unpack to more than it can"));
    }
    let mut body = vec![0; length];
    match block::decompress_into(block, &mut body) {
        Ok(len) if len == length => Ok(body.into()),
        _ => Err(PackError("it cannot be decompressed")),
    }
}
