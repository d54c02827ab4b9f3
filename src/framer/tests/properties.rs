//! What holds of any text, however it is split.

use super::{super::oracle::dispatches, *};
use proptest::prelude::*;

/// Texts of much that matters, and where to cut them.
fn soup(ends: &'static [&'static str]) -> impl Strategy<Value = (Vec<u8>, Vec<prop::sample::Index>)> {
    const WORDS: &[&str] =
        &["a", ":", " ", "i", "d", "\u{feff}", "data: x", "id: 7", "id", "idx", ": c", "data", "event: e", "\0"];
    let word = prop_oneof![prop::sample::select(WORDS), prop::sample::select(ends), prop::sample::select(ends)];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..20);
    (prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes()), cuts)
}

fn chunks<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    bounds.extend([0, text.len()]);
    bounds.sort_unstable();
    bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// What has no end yet is not in the reference.
fn ended(mut all: Vec<Whole>) -> Vec<Whole> {
    if matches!(all.last(), Some(Whole::Oversize { end: None, .. })) {
        all.pop();
    }
    all
}

fn any_ends() -> impl Strategy<Value = (bool, (Vec<u8>, Vec<prop::sample::Index>))> {
    prop_oneof![
        (Just(true), soup(&["\n"])),
        (Just(true), soup(&["\r"])),
        (Just(true), soup(&["\r\n"])),
        (Just(false), soup(&["\n", "\r", "\r\n"])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_what_the_grammar_gives((alike, (text, cuts)) in any_ends(), strip_ids: bool) {
        let (mut expected, mut found) =
            (reference(&text, strip_ids, LARGE), cut(&chunks(&text, &cuts), strip_ids, LARGE).0);
        prop_assert_eq!(&cut(&[&text], strip_ids, LARGE).0, &expected, "in one");
        if !alike {
            expected = expected.into_iter().map(Whole::without_eol).collect();
            found = found.into_iter().map(Whole::without_eol).collect();
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_split_gives_the_same_events_too_large((alike, (text, cuts)) in any_ends(), strip_ids: bool, max in 8_usize..40) {
        let (one, many) = (cut(&[&text], strip_ids, max), cut(&chunks(&text, &cuts), strip_ids, max));
        prop_assert_eq!(one.1, many.1);
        let (mut one, mut many) = (ended(one.0), ended(many.0));
        // A comment too large that nothing ends yet is not in the reference either.
        if one.last().is_some_and(|last| !matches!(last, Whole::Comments(_))) {
            prop_assert_eq!(&one, &reference(&text, strip_ids, max));
        }
        if !alike {
            one = one.into_iter().map(Whole::without_eol).collect();
            many = many.into_iter().map(Whole::without_eol).collect();
        }
        prop_assert_eq!(one, many);
    }

    #[test]
    fn a_client_sees_what_it_would_have_seen((_, (text, cuts)) in any_ends(), max in 8_usize..100) {
        let out = |strip_ids| {
            let all = ended(cut(&chunks(&text, &cuts), strip_ids, max).0);
            // The layer has an event of its own first; a BOM is at the very start no longer.
            dispatches(&std::iter::once(b'\n').chain(all.iter().flat_map(|one| one.bytes(strip_ids))).collect::<Vec<_>>())
        };
        let expected = dispatches(&text);
        prop_assert_eq!(out(false), expected.clone());
        let without_id = |all: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>| -> Vec<_> {
            all.into_iter().map(|(event, data, _)| (event, data)).collect()
        };
        prop_assert_eq!(without_id(out(true)), without_id(expected));
    }

    /// Found by the property above: what a line that is taken out leaves behind must not become one line end.
    #[test]
    fn a_line_taken_out_between_a_cr_and_a_lf_loses_no_event(max in 8_usize..20) {
        let all = cut(&[b"data: x\rid: 7\r\n\n"], true, max).0;
        let out: Vec<_> = all.iter().flat_map(|one| one.bytes(true)).collect();
        prop_assert_eq!(dispatches(&out).len(), 1);
    }

    /// Found by the fuzzer.
    #[test]
    fn an_event_in_pieces_ends_as_it_was_written_whatever_the_limit(max in 1_usize..8) {
        let all = cut(&[b"data: x\r\r\n"], true, max).0;
        prop_assert_eq!(all, reference(b"data: x\r\r\n", true, max));
    }

    #[test]
    fn bytes_of_no_meaning_break_nothing(text: Vec<u8>, cuts: Vec<prop::sample::Index>, strip_ids: bool, max in 0_usize..40) {
        let mut framer = Framer::new(strip_ids, max);
        for chunk in chunks(&text, &cuts) {
            framer.push(Bytes::copy_from_slice(chunk));
            while framer.next().is_some() {}
        }
        framer.finish();
    }
}
