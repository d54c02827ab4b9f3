//! Lines: where they end, and the little that has to be known of each.

/// What a line is, as far as it is read. Its first three bytes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing of it is read.
    Start,
    /// `i` or `id` and no more: a frame ended here.
    MaybeId(usize),
    /// It sets the event's id: `id` and `id:…`, but not `idx:…`.
    Id,
    /// `:…`
    Comment,
    /// Any other.
    Field,
}

impl Line {
    /// The line with this text behind what is read of it; `over` says whether that is all.
    pub(super) fn with(self, text: &[u8], over: bool) -> Self {
        match (self, text) {
            (Self::Start, [b':', ..]) => Self::Comment,
            (Self::Start, [b'i', rest @ ..]) => Self::MaybeId(1).with(rest, over),
            (Self::Start, _) => Self::Field,
            (Self::MaybeId(1), [b'd', rest @ ..]) => Self::MaybeId(2).with(rest, over),
            (Self::MaybeId(2), [b':', ..]) => Self::Id,
            (Self::MaybeId(2), []) if over => Self::Id,
            (Self::MaybeId(_), []) if !over => self,
            (Self::MaybeId(_), _) => Self::Field,
            (Self::Id | Self::Comment | Self::Field, _) => self,
        }
    }
}

/// Where the first line end is.
///
/// Two words at a time: this runs over every byte of every stream.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    let (pairs, single) = words.as_chunks::<2>();
    let mut at = 0;
    for [first, second] in pairs {
        let (first, second) = (line_ends(*first), line_ends(*second));
        if first | second != 0 {
            return Some(at + if first != 0 { lowest(first) } else { 8 + lowest(second) });
        }
        at += 16;
    }
    for word in single {
        let ends = line_ends(*word);
        if ends != 0 {
            return Some(at + lowest(ends));
        }
        at += 8;
    }
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map(|end| at + end)
}

/// The place of the lowest byte that is marked.
const fn lowest(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Has the top bit set of the lowest byte that is LF or CR, and none below it; 0 if no byte is.
///
/// Less one, a byte of zero borrows and sets its top bit. The borrow can only spoil bytes above it.
const fn line_ends(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let (lf, cr) = (word ^ (ONES * b'\n' as u64), word ^ (ONES * b'\r' as u64));
    ((lf.wrapping_sub(ONES) & !lf) | (cr.wrapping_sub(ONES) & !cr)) & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_known_by_its_first_bytes_wherever_it_is_cut() {
        for (text, line) in [
            ("i", Line::Field),
            ("id", Line::Id),
            ("id:", Line::Id),
            ("id: 7", Line::Id),
            ("idx: 7", Line::Field),
            ("id :7", Line::Field),
            (" id:7", Line::Field),
            ("Id:7", Line::Field),
            ("ix", Line::Field),
            ("i:", Line::Field),
            (":", Line::Comment),
            (":id:", Line::Comment),
            ("data", Line::Field),
            ("\0", Line::Field),
        ] {
            assert_eq!(Line::Start.with(text.as_bytes(), true), line, "{text:?}");
            for cut in 1..text.len() {
                let (head, rest) = text.as_bytes().split_at(cut);
                assert_eq!(Line::Start.with(head, false).with(rest, true), line, "{text:?} cut at {cut}");
            }
            assert_eq!(Line::Start.with(text.as_bytes(), false).with(b"", true), line, "{text:?}, its end alone");
        }
    }

    #[test]
    fn a_line_end_is_found_at_every_place() {
        for len in 0..40 {
            for at in 0..len {
                for end in [b'\n', b'\r'] {
                    for around in [b'\x0b', b'\x0c', 0, 0x8a, 0x8d, 0xff, b'\x09', b'\x0e'] {
                        let mut bytes = vec![around; len];
                        assert_eq!(line_end(&bytes), None);
                        bytes[at] = end;
                        assert_eq!(line_end(&bytes), Some(at), "{end:#x} in {around:#x} of {len}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_line_end_is_found(bytes in prop::collection::vec(8_u8..16, 0..80)) {
            prop_assert_eq!(line_end(&bytes), bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')));
        }
    }
}
