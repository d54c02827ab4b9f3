//! A parser of event streams after WHATWG HTML 9.2.6, written apart from the crate's own, as an oracle.

/// What a client is given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SseEvent {
    pub event: String,
    pub data: String,
    /// The value of this block's own `id` field, if it had one.
    pub id: Option<String>,
    pub retry: Option<u64>,
    /// Whether the id was the block's last line.
    pub id_is_last: bool,
}

impl SseEvent {
    /// A control event's JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A control event's phase.
    pub fn phase(&self) -> Option<String> {
        (self.event == "resume").then(|| self.json()["phase"].as_str().unwrap().to_owned())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Event(SseEvent),
    Comment(String),
}

/// Takes bytes in any pieces and gives events as soon as they are whole.
#[derive(Default)]
pub struct Parser {
    bytes: Vec<u8>,
    began: bool,
    block: Block,
    after_cr: bool,
}

#[derive(Default)]
struct Block {
    event: String,
    data: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    last_is_id: bool,
    any: bool,
}

impl Parser {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Item> {
        self.bytes.extend_from_slice(bytes);
        if !self.began {
            if self.bytes.len() < 3 && b"\xef\xbb\xbf".starts_with(&self.bytes) {
                return Vec::new();
            }
            self.began = true;
            if self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
        }
        let mut items = Vec::new();
        let all = std::mem::take(&mut self.bytes);
        let mut rest = &all[..];
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                self.bytes = rest.to_vec();
                return items;
            };
            self.after_cr = rest[at] == b'\r';
            self.line(std::str::from_utf8(&rest[..at]).expect("UTF-8"), &mut items);
            rest = &rest[at + 1..];
        }
    }

    fn line(&mut self, line: &str, items: &mut Vec<Item>) {
        if line.is_empty() {
            let block = std::mem::take(&mut self.block);
            if let Some(data) = block.data {
                let event = if block.event.is_empty() { "message".to_owned() } else { block.event };
                let id_is_last = block.last_is_id;
                items.push(Item::Event(SseEvent { event, data, id: block.id, retry: block.retry, id_is_last }));
            } else if block.any {
                panic!("a block without data reached the client: {:?} {:?}", block.event, block.id);
            }
            return;
        }
        if let Some(comment) = line.strip_prefix(':') {
            items.push(Item::Comment(comment.strip_prefix(' ').unwrap_or(comment).to_owned()));
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let block = &mut self.block;
        block.any = true;
        block.last_is_id = field == "id";
        match field {
            "event" => value.clone_into(&mut block.event),
            "data" => match &mut block.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "id" => block.id = Some(value.to_owned()),
            "retry" => block.retry = value.parse().ok(),
            _ => {}
        }
    }
}

/// All of a body.
pub fn parse(bytes: &[u8]) -> Vec<Item> {
    Parser::default().push(bytes)
}

/// A body as text, with `#` in place of every id that is of a token's form.
pub fn masked(bytes: &[u8]) -> String {
    let mut text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let mut at = 0;
    while let Some(found) = text[at..].find("id: r") {
        at += found + "id: ".len();
        let len = text[at..].find(['\r', '\n']).unwrap_or(text.len() - at);
        if len > 70 {
            text.replace_range(at..at + len, "#");
        }
    }
    text
}
