//! Packing, against everything that may come in.

use super::*;
use proptest::{collection::vec, prelude::*};

fn buffer(body: &[u8]) -> Vec<u8> {
    let mut out = begin(body.len());
    out.extend_from_slice(body);
    out
}

#[test]
fn what_is_plain_is_not_copied() {
    let bytes = Packing::default().pack(buffer(b"lines"));
    assert_eq!(&*bytes, b"\x01\x00lines");
    let body = Packing::default().unpack(&bytes).unwrap();
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
        let error = Packing::default().unpack(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error.to_string(), says, "{bytes:?}");
    }
}

/// Bodies that repeat themselves, and bodies that do not.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let repeating = (vec(any::<u8>(), 1..40), 1..800_usize).prop_map(|(part, times)| part.repeat(times));
    prop_oneof![vec(any::<u8>(), 0..3_000), repeating]
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_body(packing in 0..4_u8, rest in vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from([&[VERSION, packing][..], &rest].concat());
        let _ = Packing::default().unpack(&bytes);
    }
}

#[cfg(feature = "compression")]
mod compression {
    use super::*;

    const COMPRESSING: Packing = Packing { compress: true };

    proptest! {
        #[test]
        fn what_is_compressed_reads_back_whatever_the_reader_is_set_to(body in bodies()) {
            let plain = buffer(&body);
            let packed = COMPRESSING.pack(plain.clone());
            prop_assert!(packed.len() <= plain.len());
            for reader in [&COMPRESSING, &Packing::default()] {
                prop_assert_eq!(&reader.unpack(&packed).unwrap()[..], &body[..]);
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_body_within_the_bound(
            body in bodies(),
            flips in vec((any::<prop::sample::Index>(), 0..8_u32), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut packed = COMPRESSING.pack(buffer(&body)).to_vec();
            for (at, bit) in flips {
                let at = at.index(packed.len());
                packed[at] ^= 1 << bit;
            }
            let cut = packed[..cut.index(packed.len())].to_vec();
            for bytes in [packed, cut] {
                let most = bytes.len() * 255;
                if let Ok(body) = COMPRESSING.unpack(&bytes.into()) {
                    prop_assert!(body.len() <= most);
                }
            }
        }
    }

    #[test]
    fn only_what_becomes_really_smaller_is_compressed() {
        let is_packed = |body: &[u8]| COMPRESSING.pack(buffer(body))[1] == LZ4;
        assert!(is_packed(&b"data: {\"delta\":\"x\"}\n".repeat(20)));
        assert!(!is_packed(&b"data: {\"delta\":\"x\"}\n".repeat(12)), "under 256 bytes");
        let mut random = fastrand::Rng::with_seed(3);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4096).collect();
        assert!(!is_packed(&noise), "nothing repeats");
        assert!(!is_packed(&[&noise[..], &[0; 300]].concat()), "smaller by less than an eighth");
        assert!(is_packed(&[&noise[..], &[0; 1000]].concat()));
        assert!(is_packed(&vec![0; 8 << 20]));
        assert!(!is_packed(&vec![0; (8 << 20) + 1]), "more than a reader would unpack");
        assert_eq!(Packing::default().pack(buffer(&[0; 999]))[1], PLAIN, "not unless it is asked for");
    }

    #[test]
    fn a_claim_beyond_the_bound_is_refused_before_there_is_memory_for_it() {
        let claim = |length: u32, block: &[u8]| {
            let bytes = [&[VERSION, LZ4][..], &length.to_be_bytes(), block].concat();
            Packing::default().unpack(&bytes.into()).map_err(|error| error.to_string())
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
