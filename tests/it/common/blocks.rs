//! A raw event stream as its blocks, byte for byte: what a parser of events would smooth over.

/// What lies between two blank lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Its bytes with the blank line, less its `id` lines.
    pub bytes: Vec<u8>,
    /// The value of its last `id` line.
    pub id: Option<String>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Comment,
    Handler,
    Control,
}

impl Block {
    /// Takes a line in, with its end.
    fn line(&mut self, line: &[u8]) {
        let text = line.trim_ascii_end();
        if let Some(id) = text.strip_prefix(b"id: ") {
            self.id = Some(String::from_utf8(id.to_vec()).unwrap());
        } else {
            self.bytes.extend_from_slice(line);
        }
        self.kind = match self.kind {
            _ if text == b"event: resume" => Kind::Control,
            Kind::Comment if !text.starts_with(b":") => Kind::Handler,
            kind => kind,
        };
    }
}

/// The blocks that are whole. (WHATWG HTML, section 9.2.6: a client acts on nothing else.)
pub fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut block = Block::default();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let crlf = rest[at..].starts_with(b"\r\n");
        let (line, behind) = rest.split_at(at + 1 + usize::from(crlf));
        rest = behind;
        if at > 0 {
            block.line(line);
        } else {
            block.bytes.extend_from_slice(line);
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

/// The handler's own blocks, as it wrote them.
pub fn events(blocks: &[Block]) -> Vec<Vec<u8>> {
    blocks.iter().filter(|block| block.kind == Kind::Handler).map(|block| block.bytes.clone()).collect()
}

/// The id that a client has after these blocks.
pub fn last_id(blocks: &[Block]) -> Option<&str> {
    blocks.iter().rev().find_map(|block| block.id.as_deref())
}

/// Whether the last block is the control event `end`.
pub fn has_end(blocks: &[Block]) -> bool {
    let last = blocks.last().expect("blocks");
    last.kind == Kind::Control && String::from_utf8_lossy(&last.bytes).contains("\"phase\":\"end\"")
}

/// Cuts a response at each of its bytes, and calls `at` with how many of the handler's events are whole there and the
/// newest id in a whole block. The response began at `before` and `id`.
pub fn at_each_byte(before: usize, id: &str, bytes: &[u8], mut at: impl FnMut(usize, &str)) {
    let (mut seen, mut id) = (before, id.to_owned());
    let (mut block, mut line) = (Block::default(), Vec::new());
    let mut after_cr = false;
    at(seen, &id);
    for byte in bytes {
        match byte {
            b'\n' if after_cr => {}
            b'\r' | b'\n' if line.is_empty() => {
                let block = std::mem::take(&mut block);
                seen += usize::from(block.kind == Kind::Handler);
                id = block.id.unwrap_or(id);
            }
            b'\r' | b'\n' => {
                block.line(&line);
                line.clear();
            }
            byte => line.push(*byte),
        }
        after_cr = *byte == b'\r';
        at(seen, &id);
    }
}
