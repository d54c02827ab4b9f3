use super::*;
use proptest::prelude::*;
use std::mem;

fn message(name: &str, data: Option<&str>, id: Option<&str>) -> Block {
    let [data, id] = [data, id].map(|text| text.map(str::to_owned));
    Block::Message(Message { name: name.into(), data, id, retry: None })
}

fn read(chunks: &[&[u8]]) -> Vec<Block> {
    let mut parser = Parser::new(1 << 20);
    let mut blocks = Vec::new();
    for chunk in chunks {
        parser.push(Bytes::copy_from_slice(chunk));
        while let Some(block) = parser.next() {
            blocks.push(block);
        }
    }
    blocks
}

/// What every split into two gives.
fn each_split(text: &[u8], expected: &[Block]) {
    for cut in 0..=text.len() {
        let (head, tail) = text.split_at(cut);
        assert_eq!(read(&[head, tail]), expected, "{:?} cut at {cut}", String::from_utf8_lossy(text));
    }
    let bytes: Vec<_> = text.chunks(1).collect();
    assert_eq!(read(&bytes), expected, "byte by byte");
}

#[test]
fn fields_are_read_as_the_grammar_says() {
    let hello = |data| message("", Some(data), None);
    for (text, expected) in [
        ("data: a\n\n", hello("a")),
        ("data:a\n\n", hello("a")),
        ("data:  a \n\n", hello(" a ")),
        ("data\n\n", hello("")),
        ("data:\n\n", hello("")),
        ("data\ndata\n\n", hello("\n")),
        ("data: a\ndata:b\ndata: \n\n", hello("a\nb\n")),
        ("data: a: b\n\n", hello("a: b")),
        ("data: a\n: a comment\ndata: b\n\n", hello("a\nb")),
        ("Data: a\ndata : b\n data: c\ndata: d\n\n", hello("d")),
        ("event: a\nevent: b\ndata: x\n\n", message("b", Some("x"), None)),
        ("event: a\nevent\ndata: x\n\n", message("", Some("x"), None)),
        ("id: 7\ndata: x\n\n", message("", Some("x"), Some("7"))),
        ("data: x\nid\n\n", message("", Some("x"), Some(""))),
        ("id: 7\nid: a\0b\ndata: x\n\n", message("", Some("x"), Some("7"))),
        ("id: 7\n\n", message("", None, Some("7"))),
        ("event: a\n\n", message("a", None, None)),
        ("unknown\n\n", message("", None, None)),
        ("data: é😀\u{feff}\n\n", hello("é😀\u{feff}")),
        ("\u{feff}data: x\n\n", hello("x")),
        ("\u{feff}\u{feff}data: x\n\n", message("", None, None)),
    ] {
        each_split(text.as_bytes(), &[expected]);
    }
}

#[test]
fn a_retry_is_digits_and_nothing_else() {
    let retry = |text: &str| match &read(&[format!("retry:{text}\ndata: x\n\n").as_bytes()])[..] {
        [Block::Message(message)] => message.retry.map(|retry| retry.as_millis()),
        other => panic!("{other:?}"),
    };
    assert_eq!(retry(" 1500"), Some(1500));
    assert_eq!(retry("0"), Some(0));
    assert_eq!(retry("007"), Some(7));
    for text in ["", " ", "1.5", "-1", "+1", "1 ", "  1", "1e3", "0x1", "١"] {
        assert_eq!(retry(text), None, "{text:?}");
    }
    assert_eq!(retry(&"9".repeat(40)), Some(u128::from(u64::MAX)));
    assert_eq!(retry("5\nretry: x"), Some(5), "one that is none changes nothing");
}

#[test]
fn all_line_ends_count_and_a_crlf_is_one_wherever_it_is_split() {
    for end in ["\n", "\r", "\r\n"] {
        let text = "data: a\ndata: b\n\nid: 1\ndata: c\n\n".replace('\n', end);
        each_split(text.as_bytes(), &[message("", Some("a\nb"), None), message("", Some("c"), Some("1"))]);
    }
}

#[test]
fn an_event_is_there_as_soon_as_its_blank_line_is() {
    for text in ["data: x\n\n", "data: x\r\r", "data: x\r\n\r"] {
        assert_eq!(read(&[text.as_bytes()]).len(), 1, "{text:?}");
    }
}

#[test]
fn what_is_unfinished_is_nothing() {
    for text in ["data: x", "data: x\n", "data: x\r", "data: x\r\n", ": c\n", "\u{feff}", "id: 7\n"] {
        each_split(text.as_bytes(), &[]);
    }
}

#[test]
fn comments_are_read_where_they_are_blocks_of_their_own() {
    each_split(b": heartbeat\n\n", &[Block::Comments(vec!["heartbeat".into()])]);
    each_split(b":a\r\n:\r\n\r\n", &[Block::Comments(vec!["a".into(), String::new()])]);
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced() {
    each_split(b"data: a\xffb\xf0\x9f\x98\ndata: \xc3\n\n", &[message("", Some("a\u{fffd}b\u{fffd}\n\u{fffd}"), None)]);
}

#[test]
fn an_event_of_more_than_the_limit_is_refused_as_it_comes() {
    let text = b"data: 0123456789\n\n";
    for (limit, fits) in [(text.len(), true), (text.len() - 1, false)] {
        let mut parser = Parser::new(limit);
        parser.push(Bytes::from_static(text));
        assert_eq!(parser.next() != Some(Block::TooLarge), fits, "{limit}");
    }
    let mut parser = Parser::new(100);
    parser.push(Bytes::from_static(b"data: "));
    let chunks = (0..).find(|_| {
        parser.push(Bytes::from_static(b"0123456789"));
        parser.next() == Some(Block::TooLarge)
    });
    assert_eq!(chunks, Some(9), "before it is there as a whole");
    let mut parser = Parser::new(16);
    parser.push(Bytes::from_static(b": a comment of more than the limit\n\ndata: x\n\n"));
    let rest: Vec<_> = std::iter::from_fn(|| parser.next()).collect();
    assert!(rest.iter().all(|block| *block != Block::TooLarge), "comments are not kept: {rest:?}");
}

/// Name, data, id in force and wait of each dispatch: section 9.2.6 to the letter, with the text there as a whole.
fn dispatches(text: &[u8]) -> Vec<(String, String, String, Option<u64>)> {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (mut data, mut event, mut id, mut retry) = (String::new(), String::new(), String::new(), None);
    let mut last_id = String::new();
    let mut all = Vec::new();
    let Some((whole, _)) = text.rsplit_once('\n') else { return all };
    for line in whole.split('\n') {
        if line.is_empty() {
            last_id.clone_from(&id);
            let (mut data, event) = (mem::take(&mut data), mem::take(&mut event));
            if data.pop().is_some() {
                all.push((event, data, last_id.clone(), retry));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event = value.to_owned(),
            "data" => data += &format!("{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    all
}

fn dispatched(chunks: &[&[u8]]) -> Vec<(String, String, String, Option<u64>)> {
    let (mut last_id, mut retry, mut all) = (String::new(), None, Vec::new());
    for block in read(chunks) {
        let Block::Message(message) = block else { continue };
        last_id = message.id.unwrap_or(last_id);
        retry = message.retry.map(crate::clock::millis).or(retry);
        if let Some(data) = message.data {
            all.push((message.name, data, last_id.clone(), retry));
        }
    }
    all
}

fn piece() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
        &b"data"[..],
        b"event",
        b"id",
        b"retry",
        b": ",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"x",
        b"7",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xc3\xa9",
        b"\xf0\x9f\x98\x80",
        b"\xf0\x9f",
        b"\xff",
        b"data: a\n\n",
        b"id: t\ndata: b\r\r",
        b": c\n\n",
    ])
}

proptest! {
    #[test]
    fn every_split_of_every_text_is_read_as_the_grammar_says(
        pieces in prop::collection::vec(piece(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text = pieces.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(dispatched(&chunks), dispatches(&text));
    }
}
