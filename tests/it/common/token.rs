//! What is in a token. Clients cannot know; a test that wants to be sure peeks.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    pub seq: u64,
    pub step: String,
    pub seen_end: bool,
    pub may_cancel: bool,
}

impl Peek {
    pub fn into(token: &str) -> Self {
        let raw = raw(token);
        let seq = raw[27..33].iter().fold(0, |seq, byte| seq << 8 | u64::from(*byte));
        let step = String::from_utf8(raw[39..raw.len() - 16].to_vec()).unwrap();
        Self { seq, step, seen_end: raw[2] & 1 != 0, may_cancel: raw[2] & 2 != 0 }
    }

    /// Every token that differs from this one in one bit.
    pub fn flips(token: &str) -> Vec<String> {
        let raw = raw(token);
        let flip = |bit: usize| {
            let mut raw = raw.clone();
            raw[bit / 8] ^= 1 << (bit % 8);
            BASE64_URL_SAFE_NO_PAD.encode(raw)
        };
        (0..raw.len() * 8).map(flip).collect()
    }
}

fn raw(token: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()
}
