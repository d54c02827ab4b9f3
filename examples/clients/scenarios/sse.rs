//! A parser of event streams after WHATWG HTML 9.2.6, for what went over the wire.

/// What a client dispatches, or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Event { event: String, data: String, id: Option<String> },
    Comment(String),
    Retry(u64),
}

/// Takes bytes in any pieces, and gives what is whole.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    began: bool,
    event: String,
    data: Option<String>,
    /// The last id of the stream.
    last_id: Option<String>,
}

impl Parser {
    pub(crate) fn push(&mut self, mut bytes: &[u8], items: &mut Vec<Item>) {
        while let Some((first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = rest;
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return;
            };
            let (line, rest) = bytes.split_at(end);
            self.line.extend_from_slice(line);
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            let line = std::mem::take(&mut self.line);
            self.take(&line, items);
        }
    }

    fn take(&mut self, line: &[u8], items: &mut Vec<Item>) {
        let first = !std::mem::replace(&mut self.began, true);
        let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if let Some(data) = self.data.take() {
                let event = if event.is_empty() { "message".to_owned() } else { event };
                items.push(Item::Event { event, data, id: self.last_id.clone() });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&*line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => items.push(Item::Comment(value.to_owned())),
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                items.extend(value.parse().ok().map(Item::Retry));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_the_bytes_are_split_the_same_events_come_out() {
        let text =
            "\u{feff}event: a\r\ndata: 1\rdata:2\n\nid: x\n: note\ndata\n\n\r\nretry: 5\ndata: ü\n\ndata: unfinished";
        let expected = [
            Item::Event { event: "a".into(), data: "1\n2".into(), id: None },
            Item::Comment("note".into()),
            Item::Event { event: "message".into(), data: String::new(), id: Some("x".into()) },
            Item::Retry(5),
            Item::Event { event: "message".into(), data: "ü".into(), id: Some("x".into()) },
        ];
        for size in 1..text.len() {
            let (mut parser, mut items) = (Parser::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                parser.push(piece, &mut items);
            }
            assert_eq!(items, expected, "in pieces of {size}");
        }
    }
}
