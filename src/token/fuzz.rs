//! What holds of any text that is sent as a token.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "test code"
)]

use super::*;
use crate::fuzz::Input;

const NOW: u64 = 1_790_000_000_000;
const SIGNS: [u8; 32] = [b'k'; 32];
const VERIFIES: [u8; 32] = [b'o'; 32];

/// The bytes as a token; as what a token says, with a good signature; and as changes to a good token.
pub fn token(data: &[u8]) {
    let keys = Keys::ring([SIGNS, VERIFIES]).expect("keys");
    let verifier = keys.verifier("s", Some("ann"));
    let signer = keys.signer("s", Some("ann"));
    // Nobody but the holder of a secret makes one that is good: a fuzzer cannot.
    assert!(verifier.open(data, NOW).is_err(), "opened what nobody has signed");
    let _ = looks_like_token(data);

    signed_by_us(data, &keys, &verifier, &signer);
    reads_back(data, &keys, &verifier, &signer);
}

/// Bytes of no meaning under a good signature, as a later release might write them.
fn signed_by_us(data: &[u8], keys: &Keys, verifier: &Verifier, signer: &Signer) {
    let mut signed = data.get(..data.len().min(MAX_BYTES + 3)).unwrap_or_default().to_vec();
    // Most of what a fuzzer makes would fail at version or key id: give every other one those.
    if let [version, id, flags, ..] = &mut *signed
        && *flags & 0x80 == 0
    {
        (*version, *id) = (VERSION, signer.0.id);
    }
    let mac = mac(&signer.0.mac, &signed);
    let text = BASE64_URL_SAFE_NO_PAD.encode([&signed[..], &mac].concat());
    if let Ok(cursor) = verifier.open(text.as_bytes(), 0) {
        assert!(looks_like_token(text.as_bytes()));
        assert_eq!(signer.sign(&cursor).as_str(), text, "a token has one form only");
        assert!(keys.verifier("s", Some("eve")).open(text.as_bytes(), 0).is_err());
    }
}

fn reads_back(data: &[u8], keys: &Keys, verifier: &Verifier, signer: &Signer) {
    let mut input = Input(data);
    let flags = input.byte();
    let cursor = Cursor {
        request_id: RequestId::from_bytes(input.array()),
        node: NodeId::from_bytes(input.array()),
        seq: input.number() & MAX_48,
        expires_at: (NOW + (input.number() >> 32)) & MAX_48,
        ended: flags & 1 != 0,
        may_cancel: flags & 2 != 0,
        step: {
            let length = usize::from(input.byte() % 64);
            Step::new(&String::from_utf8_lossy(input.take(length)))
        },
    };
    let token = signer.sign(&cursor);
    assert!(looks_like_token(token.as_bytes()) && token.as_bytes().len() <= 150);
    let opened = verifier.open(token.as_bytes(), NOW).expect("a token of our own");
    assert_eq!(opened.into_cursor(), cursor);
    let late = cursor.expires_at + CLOCK_SKEW_MS + 1;
    assert_eq!(verifier.open(token.as_bytes(), late), Err(TokenError::Expired));
    for (scope, principal) in [("s", None), ("s", Some("")), ("sa", Some("nn")), ("", Some("sann"))] {
        let elsewhere = keys.verifier(scope, principal).open(token.as_bytes(), NOW);
        assert_eq!(elsewhere, Err(TokenError::InvalidSignature), "{scope:?} {principal:?}");
    }
    // What is left are changes, by pairs: where, and by which bits.
    let mut text = token.as_bytes().to_vec();
    while !input.is_over() {
        let (at, bits) = (usize::from(input.byte()), input.byte());
        match at.checked_sub(text.len()) {
            None => text[at] ^= bits,
            Some(0) => text.push(bits),
            Some(_) => text.truncate(usize::from(bits)),
        }
        if text != token.as_bytes() {
            assert!(verifier.open(&text, NOW).is_err(), "opened a token that was changed");
        }
    }
}
