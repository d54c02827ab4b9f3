mod properties;

use super::{
    oracle::{Whole, cut, reference},
    *,
};

const LARGE: usize = 1 << 20;

/// Every way to cut a text in two and in three, in single bytes, and not at all.
fn each_split(text: &[u8], mut check: impl FnMut(&[&[u8]])) {
    check(&[text]);
    check(&text.chunks(1).collect::<Vec<_>>());
    for first in 0..=text.len() {
        for second in first..=text.len() {
            check(&[&text[..first], &text[first..second], &text[second..]]);
        }
    }
}

fn with_ends(text: &str, end: &str) -> Vec<u8> {
    text.replace('\n', end).into_bytes()
}

fn event(lines: impl AsRef<[u8]>, eol: Eol, has_id: bool) -> Whole {
    Whole::Event { lines: lines.as_ref().to_vec(), eol, has_id }
}

#[test]
fn the_bytes_decide_and_not_how_they_are_split() {
    for (text, kept, stripped) in [
        ("data: x\n\n", &["data: x\n"][..], &["data: x\n"][..]),
        ("event: e\ndata: x\ndata:\n\ndata: y\n\n", &["event: e\ndata: x\ndata:\n", "data: y\n"], &[]),
        ("\n\n\ndata: x\n\n\n\n", &["data: x\n"], &[]),
        ("data\n\nfoo\n\n:c\ndata: x\n: d\n\n", &["data\n", "foo\n", ":c\ndata: x\n: d\n"], &[]),
        ("id: 7\ndata: x\n\n", &["id: 7\ndata: x\n"], &["data: x\n"]),
        ("data: x\nid\n\n", &["data: x\nid\n"], &["data: x\n"]),
        ("data: x\nid: 7\ndata: y\nid:8\n\n", &["data: x\nid: 7\ndata: y\nid:8\n"], &["data: x\ndata: y\n"]),
        ("id: 7\n\nid:\n\n", &["id: 7\n", "id:\n"], &["", ""]),
        ("idx: 7\ni\nid :x\n id: 7\n\n", &["idx: 7\ni\nid :x\n id: 7\n"], &[]),
        ("data: x\n\ndata: unfinished\nid: 7", &["data: x\n"], &[]),
    ] {
        for (end, eol) in [("\n", Eol::Lf), ("\r", Eol::Cr), ("\r\n", Eol::CrLf)] {
            for bom in [&b""[..], BOM] {
                let whole = [bom, &with_ends(text, end)].concat();
                for strip_ids in [false, true] {
                    let lines = if strip_ids && !stripped.is_empty() { stripped } else { kept };
                    let expected: Vec<_> = lines
                        .iter()
                        .map(|lines| {
                            let has_id =
                                !strip_ids && lines.lines().any(|line| line == "id" || line.starts_with("id:"));
                            event(with_ends(lines, end), eol, has_id)
                        })
                        .collect();
                    assert_eq!(reference(&whole, strip_ids, LARGE), expected);
                    each_split(&whole, |chunks| {
                        assert_eq!(cut(chunks, strip_ids, LARGE).0, expected, "{text:?} {eol:?} {chunks:?}");
                    });
                }
            }
        }
    }
}

#[test]
fn comments_pass_as_they_are_written() {
    for end in ["\n", "\r", "\r\n"] {
        let text = with_ends(": a\n:\n\ndata: x\n\n: b\n\n", end);
        let comments = |text| Whole::Comments(with_ends(text, end));
        each_split(&text, |chunks| {
            let all = cut(chunks, true, LARGE).0;
            assert_eq!((&all[0], &all[2]), (&comments(": a\n:\n\n"), &comments(": b\n\n")), "{chunks:?}");
        });
    }
}

#[test]
fn an_event_that_a_lone_cr_closes_goes_out_at_once() {
    let mut framer = Framer::new(true, LARGE);
    framer.push(Bytes::from_static(b"data: x\r\r"));
    let lines = Bytes::from_static(b"data: x\r");
    assert_eq!(framer.next(), Some(Frame::Event { lines, eol: Eol::Cr, has_id: false }));
    // The LF belongs to that CR. A second one is a stray blank line.
    framer.push(Bytes::from_static(b"\n\ndata: y\r\n\r"));
    let lines = Bytes::from_static(b"data: y\r\n");
    assert_eq!(framer.next(), Some(Frame::Event { lines, eol: Eol::CrLf, has_id: false }));
    assert_eq!((framer.next(), framer.finish()), (None, None));
}

#[test]
fn a_bom_is_removed_at_the_very_start_only() {
    let text = [BOM, BOM, b"data: x\n\n", BOM, b"id: 7\n\n"].concat();
    each_split(&text, |chunks| {
        let expected =
            [event([BOM, b"data: x\n"].concat(), Eol::Lf, false), event([BOM, b"id: 7\n"].concat(), Eol::Lf, false)];
        assert_eq!(cut(chunks, true, LARGE).0, expected, "{chunks:?}");
    });
    each_split(b"\xef\xbbid: 7\n\n", |chunks| {
        assert_eq!(cut(chunks, true, LARGE).0, [event(b"\xef\xbbid: 7\n", Eol::Lf, false)], "{chunks:?}");
    });
}

#[test]
fn a_block_that_the_body_leaves_unfinished_is_told_of() {
    use Unfinished::{Dropped, Open};
    for (text, unfinished) in [
        (&b""[..], None),
        (b"data: x\n\n", None),
        (b"data: x\r\r", None),
        (BOM, None),
        (b"\n\n", None),
        (b"data: x\n\nd", Some(Dropped)),
        (b"data: x\n", Some(Dropped)),
        (b"data: x\r", Some(Dropped)),
        (b"i", Some(Dropped)),
        (b"id: 7\n", Some(Dropped)),
        (b": c\n", Some(Dropped)),
        (b"\xef\xbb", Some(Dropped)),
        (b"data: 0123456789abcdef", Some(Open)),
        (b"data: 0123456789abcdef\n", Some(Open)),
        (b"data: 0123456789abcdef\nid: 7", Some(Open)),
        (b"data: 0123456789abcdef\n\n", None),
        (b": 0123456789abcdef", Some(Open)),
        (b": 0123456789abcdef\r", Some(Open)),
        (b": 0123456789abcdef\n", None),
        (b": 0123456789abcdef\nd", Some(Dropped)),
    ] {
        each_split(text, |chunks| assert_eq!(cut(chunks, true, 16).1, unfinished, "{chunks:?}"));
    }
}

#[test]
fn an_event_of_just_the_limit_is_whole_and_one_byte_more_is_not() {
    for end in ["\n", "\r", "\r\n"] {
        let text = with_ends("event: e\nid: a long one\ndata: x\n\ndata: y\n\n", end);
        let size = with_ends("event: e\ndata: x\n\n", end).len();
        let lines = with_ends("event: e\ndata: x\n", end);
        each_split(&text, |chunks| {
            let (at, over) = (cut(chunks, true, size).0, cut(chunks, true, size - 1).0);
            assert!(matches!(&at[0], Whole::Event { lines: whole, .. } if *whole == lines), "{chunks:?} {at:?}");
            assert!(matches!(&over[0], Whole::Oversize { lines: whole, .. } if *whole == lines), "{chunks:?} {over:?}");
            assert_eq!(at[1], over[1], "the next event is not touched");
            assert_eq!(at, reference(&text, true, size));
            assert_eq!(over, reference(&text, true, size - 1));
        });
    }
}

#[test]
fn an_event_too_large_goes_out_as_it_comes() {
    let mut framer = Framer::new(true, 1000);
    let (mut fed, mut out, mut most) = (0, 0, 0);
    framer.push(Bytes::from_static(b"id: "));
    for _ in 0..1000 {
        framer.push(Bytes::from(vec![b'7'; 999]));
        assert_eq!(framer.next(), None, "an id that is taken out is not held, however long it is");
        assert!(framer.buffer.pending() == 0);
    }
    framer.push(Bytes::from_static(b"\ndata: "));
    for _ in 0..1000 {
        framer.push(Bytes::from(vec![b'x'; 99]));
        fed += 99;
        while let Some(frame) = framer.next() {
            let Frame::OversizePart(part) = frame else { panic!("{frame:?}") };
            out += part.len();
        }
        most = most.max(fed + 6 - out);
        assert!(framer.buffer.carried_capacity() <= 1000 + 999);
    }
    assert!(most < 1000, "{most} bytes were held back");
    framer.push(Bytes::from_static(b"\nid: 8\nid\n\n"));
    assert_eq!(framer.next(), Some(Frame::OversizePart(Bytes::from_static(b"\n"))));
    let end = Frame::OversizeEnd { eol: Eol::Lf, has_id: false, size: fed + 6 + 2 };
    assert_eq!((framer.next(), framer.next(), framer.finish()), (Some(end), None, None));
}

#[test]
fn comments_too_large_pass_and_the_event_behind_them_is_whole() {
    let text = b": a comment of more than the limit\n: another\nid: 7\ndata: x\n\n: c\n\n";
    each_split(text, |chunks| {
        let expected = [
            Whole::Comments(b": a comment of more than the limit\n: another\n".to_vec()),
            event("data: x\n", Eol::Lf, false),
            Whole::Comments(b": c\n\n".to_vec()),
        ];
        assert_eq!(cut(chunks, true, 16).0, expected, "{chunks:?}");
    });
}

#[test]
fn no_event_keeps_a_much_larger_buffer_alive() {
    let frame = Bytes::from([&b"data: small\n\ndata: "[..], &vec![b'x'; LARGE / 2], b"\n\ndata: small\n\n"].concat());
    let inside = |lines: &Bytes| frame.as_ptr_range().contains(&lines.as_ptr());
    let mut framer = Framer::new(true, LARGE);
    framer.push(frame.clone());
    let found: Vec<_> = std::iter::from_fn(|| framer.next())
        .map(|found| match found {
            Frame::Event { lines, .. } => (lines.len(), inside(&lines)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [(12, false), (LARGE / 2 + 7, true), (12, false)]);
    assert!(frame.is_unique(), "nor does the framer");
}

#[test]
fn an_event_of_many_frames_is_in_a_buffer_of_its_size() {
    for len in [10, 100, 1000, 10_000, 100_000, LARGE - 2] {
        let mut framer = Framer::new(true, LARGE);
        for chunk in vec![b'd'; len - 1].chunks(7) {
            framer.push(Bytes::copy_from_slice(chunk));
            assert_eq!(framer.next(), None);
        }
        assert!(framer.buffer.carried_capacity() <= LARGE);
        framer.push(Bytes::from_static(b"\n\n"));
        let Some(Frame::Event { lines, .. }) = framer.next() else { panic!("an event of {len}") };
        assert_eq!(lines.len(), len);
        let room = lines.try_into_mut().unwrap().capacity();
        assert!(room <= len + len / 4, "{room} bytes for {len}");
        assert!(framer.buffer.carried_capacity() <= buffer::REUSED_BYTES);
    }
}

#[test]
fn bytes_that_come_before_the_last_ones_are_read_are_not_lost() {
    let text = b"data: x\n\nid: 7\ndata: y\r\n\r\n: c\n\ndata: z\n\n";
    each_split(text, |chunks| {
        let mut framer = Framer::new(true, LARGE);
        let mut events = Vec::new();
        let mut take = |framer: &mut Framer| {
            let frame = framer.next();
            if let Some(Frame::Event { lines, .. }) = &frame {
                events.push(lines.clone());
            }
            frame.is_some()
        };
        for chunk in chunks {
            framer.push(Bytes::copy_from_slice(chunk));
            take(&mut framer);
        }
        while take(&mut framer) {}
        assert_eq!(events, ["data: x\n", "data: y\r\n", "data: z\n"]);
    });
}
