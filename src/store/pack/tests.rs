//! Packing, against everything that may come in.

use super::*;
use proptest::{collection::vec, prelude::*};

const ID: RequestId = RequestId::from_bytes([7; 16]);

fn pack(packing: &Packing, body: &[u8]) -> Bytes {
    packing.of(ID).pack(Kind::Chunk, buffer(body))
}

fn unpack(packing: &Packing, bytes: &Bytes) -> Result<Bytes, PackError> {
    packing.of(ID).unpack(Kind::Chunk, bytes)
}

fn buffer(body: &[u8]) -> Vec<u8> {
    let mut out = begin(body.len());
    out.extend_from_slice(body);
    out
}

#[test]
fn what_is_plain_is_not_copied() {
    let bytes = pack(&Packing::default(), b"lines");
    assert_eq!(&*bytes, b"\x01\x00lines");
    let body = unpack(&Packing::default(), &bytes).unwrap();
    assert_eq!(body.as_ptr(), bytes[HEAD_BYTES..].as_ptr());
}

#[test]
fn what_is_not_known_here_is_named() {
    for (bytes, says) in [
        (&b""[..], "it is cut short"),
        (b"\x01", "it is cut short"),
        (b"\x02\x00abc", "written in a version of the format that this one cannot read"),
        (b"\x01\x7fabc", "packed in a way that this version cannot read"),
        #[cfg(not(feature = "compression"))]
        (b"\x01\x01\0\0\0\x01\x10a", "compressed, and tower-resume was built without the feature `compression`"),
    ] {
        let error = unpack(&Packing::default(), &Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error.to_string(), says, "{bytes:?}");
    }
}

/// Bodies that repeat themselves, and bodies that do not.
#[cfg(any(feature = "compression", feature = "encryption"))]
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let repeating = (vec(any::<u8>(), 1..40), 1..800_usize).prop_map(|(part, times)| part.repeat(times));
    prop_oneof![vec(any::<u8>(), 0..3_000), repeating]
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_body(packing in 0..4_u8, rest in vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from([&[VERSION, packing][..], &rest].concat());
        let _ = unpack(&Packing::default(), &bytes);
    }
}

#[cfg(feature = "compression")]
mod compression {
    use super::*;

    const COMPRESSING: Packing = Packing {
        compress: true,
        #[cfg(feature = "encryption")]
        vault: None,
    };

    proptest! {
        #[test]
        fn what_is_compressed_reads_back_whatever_the_reader_is_set_to(body in bodies()) {
            let plain = buffer(&body);
            let packed = pack(&COMPRESSING, &body);
            prop_assert!(packed.len() <= plain.len());
            for reader in [&COMPRESSING, &Packing::default()] {
                prop_assert_eq!(&unpack(reader, &packed).unwrap()[..], &body[..]);
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_body_within_the_bound(
            body in bodies(),
            flips in vec((any::<prop::sample::Index>(), 0..8_u32), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut packed = pack(&COMPRESSING, &body).to_vec();
            for (at, bit) in flips {
                let at = at.index(packed.len());
                packed[at] ^= 1 << bit;
            }
            let cut = packed[..cut.index(packed.len())].to_vec();
            for bytes in [packed, cut] {
                let most = bytes.len() * 255;
                if let Ok(body) = unpack(&COMPRESSING, &bytes.into()) {
                    prop_assert!(body.len() <= most);
                }
            }
        }
    }

    #[test]
    fn only_what_becomes_really_smaller_is_compressed() {
        let is_packed = |body: &[u8]| pack(&COMPRESSING, body)[1] == LZ4;
        assert!(is_packed(&b"data: {\"delta\":\"x\"}\n".repeat(20)));
        assert!(!is_packed(&b"data: {\"delta\":\"x\"}\n".repeat(12)), "under 256 bytes");
        let mut random = fastrand::Rng::with_seed(3);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4096).collect();
        assert!(!is_packed(&noise), "nothing repeats");
        assert!(!is_packed(&[&noise[..], &[0; 300]].concat()), "smaller by less than an eighth");
        assert!(is_packed(&[&noise[..], &[0; 1000]].concat()));
        assert!(is_packed(&vec![0; 8 << 20]));
        assert!(!is_packed(&vec![0; (8 << 20) + 1]), "more than a reader would unpack");
        assert_eq!(pack(&Packing::default(), &[0; 999])[1], PLAIN, "not unless it is asked for");
    }

    #[test]
    fn a_claim_beyond_the_bound_is_refused_before_there_is_memory_for_it() {
        let claim = |length: u32, block: &[u8]| {
            let bytes = [&[VERSION, LZ4][..], &length.to_be_bytes(), block].concat();
            unpack(&Packing::default(), &bytes.into()).map_err(|error| error.to_string())
        };
        let too_much = Err("it claims to unpack to more than it can".to_owned());
        assert_eq!(claim(u32::MAX, &[0; 64]), too_much);
        assert_eq!(claim((8 << 20) + 1, &vec![0; 1 << 20]), too_much, "beyond all that is ever packed");
        assert_eq!(claim(64 * 255 + 1, &[0; 64]), too_much, "beyond what LZ4 can make of 64 bytes");
        assert_eq!(claim(1, b""), too_much);
        let bad = Err("it cannot be decompressed".to_owned());
        assert_eq!(claim(5, b"\x10a"), bad, "less than it claims");
        assert_eq!(claim(2, b"\x30abc"), bad, "more than it claims");
        assert_eq!(claim(1, b"\x10a").as_deref(), Ok(&b"a"[..]));
    }
}

#[cfg(feature = "encryption")]
mod encryption {
    use super::*;
    use crate::Keys;

    fn ring(secrets: &[u8]) -> Keys {
        Keys::ring(secrets.iter().map(|secret| [*secret; 32])).unwrap()
    }

    fn with(secrets: &[u8], duty: Duty) -> Packing {
        Packing { vault: Some(Vault::new(&ring(secrets), duty)), ..Packing::default() }
    }

    fn why(result: Result<Bytes, PackError>) -> String {
        result.map(|_| ()).unwrap_err().to_string()
    }

    const BROKEN: &str = "its seal does not hold: it was changed, or belongs elsewhere";

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_nothing_of_it_shows(body in bodies(), compress in any::<bool>()) {
            let sealing = Packing {
                #[cfg(feature = "compression")]
                compress,
                ..with(b"a", Duty::Seal)
            };
            let _ = compress;
            let sealed = pack(&sealing, &body);
            prop_assert!(sealed.len() <= body.len() + 44);
            let parts: std::collections::HashSet<&[u8]> = body.windows(8).collect();
            prop_assert!(!sealed.windows(8).any(|window| parts.contains(window)));
            for duty in [Duty::Open, Duty::Seal, Duty::Require] {
                prop_assert_eq!(&unpack(&with(b"a", duty), &sealed).unwrap()[..], &body[..]);
            }
        }

        #[test]
        fn a_bit_that_is_flipped_anywhere_breaks_the_seal(body in vec(any::<u8>(), 0..100)) {
            let sealing = with(b"a", Duty::Require);
            let sealed = pack(&sealing, &body);
            for at in 0..sealed.len() {
                for bit in 0..8 {
                    let mut bytes = sealed.to_vec();
                    bytes[at] ^= 1 << bit;
                    prop_assert!(unpack(&sealing, &bytes.into()).is_err(), "bit {} of byte {}", bit, at);
                }
                prop_assert!(unpack(&sealing, &sealed.slice(..at)).is_err(), "cut at {}", at);
            }
        }
    }

    #[test]
    fn no_two_seals_are_alike() {
        let sealing = with(b"a", Duty::Seal);
        assert_ne!(pack(&sealing, b"the same"), pack(&sealing, b"the same"));
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_alone() {
        let sealing = with(b"a", Duty::Seal);
        let sealed = pack(&sealing, b"of this stream");
        let other = RequestId::from_bytes([8; 16]);
        assert_eq!(why(sealing.of(other).unpack(Kind::Chunk, &sealed)), BROKEN);
        for kind in [Kind::Snapshot, Kind::CorrelationId] {
            assert_eq!(why(sealing.of(ID).unpack(kind, &sealed)), BROKEN, "{kind:?}");
        }
    }

    #[test]
    fn a_ring_opens_what_any_of_its_secrets_has_sealed() {
        let (of_old, of_new) = (pack(&with(b"a", Duty::Seal), b"old"), pack(&with(b"ba", Duty::Seal), b"new"));
        for ring in [b"ab", b"ba"] {
            assert_eq!(unpack(&with(ring, Duty::Seal), &of_old).unwrap(), "old");
            assert_eq!(unpack(&with(ring, Duty::Seal), &of_new).unwrap(), "new");
        }
        let foreign = "sealed with a key that is not in this store's ring";
        assert_eq!(why(unpack(&with(b"a", Duty::Seal), &of_new)), foreign, "the first secret seals");
        assert_eq!(why(unpack(&with(b"b", Duty::Seal), &of_old)), foreign);
    }

    #[test]
    fn two_secrets_may_share_their_id() {
        let id = |keys: &Keys| keys.store_keys().next().unwrap().0;
        let secret = |number: u32| [&number.to_be_bytes()[..], &[b'.'; 28]].concat();
        let first = Keys::new(secret(0)).unwrap();
        let twin = (1..).find(|number| id(&Keys::new(secret(*number)).unwrap()) == id(&first)).unwrap();
        let sealed = pack(&Packing { vault: Some(Vault::new(&first, Duty::Seal)), ..Packing::default() }, b"first");
        let ring = Keys::ring([secret(twin), secret(0)]).unwrap();
        let packing = Packing { vault: Some(Vault::new(&ring, Duty::Open)), ..Packing::default() };
        assert_eq!(unpack(&packing, &sealed).unwrap(), "first");
    }

    #[test]
    fn a_duty_is_what_it_says() {
        let plain = pack(&Packing::default(), b"plain");
        for (duty, seals, reads_plain) in
            [(Duty::Open, false, true), (Duty::Seal, true, true), (Duty::Require, true, false)]
        {
            let packing = with(b"a", duty);
            assert_eq!(pack(&packing, b"body")[1] == SEALED, seals, "{duty:?}");
            assert_eq!(unpack(&packing, &plain).is_ok(), reads_plain, "{duty:?}");
        }
        assert_eq!(why(unpack(&with(b"a", Duty::Require), &plain)), "not sealed, as this store requires");
    }

    #[test]
    fn a_seal_within_a_seal_is_refused() {
        let vault = Vault::new(&ring(b"a"), Duty::Seal);
        let sealed = vault.seal(Kind::Chunk, ID, &vault.seal(Kind::Chunk, ID, &buffer(b"body")));
        assert_eq!(
            why(unpack(&with(b"a", Duty::Seal), &sealed.into())),
            "packed in a way that this version cannot read"
        );
    }

    #[test]
    fn a_key_never_shows_and_is_the_stores_own() {
        let keys = ring(b"a");
        assert_eq!(format!("{:?}", Vault::new(&keys, Duty::Seal)), "Vault { keys: 1, duty: Seal, .. }");
        // Frozen: with another key, nothing that is stored could be read.
        let (id, key) = keys.store_keys().next().unwrap();
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((id, &*hex), (133, "9cf7accfb67b3ef17c96a9bca9d658801cdda6a406b3cf13a209b5dd6a8619f7"));
    }
}
