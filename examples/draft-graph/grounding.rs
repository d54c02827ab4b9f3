//! Attachments as text that a draft can be grounded on, and the limits on them.
//!
//! Plain text is numbered line by line, pages are marked, and of a table only statistics are kept, never its rows: what
//! ends up in a graph may be shown to people who were not meant to see the file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::{ErrorV1, bad_input};
use crate::input::{Attachment, Payload};
use crate::limits::{ATTACHMENT_MAX_CHARS, ATTACHMENTS_TOTAL_MAX_CHARS};
use crate::table;
use crate::text::{clip, count_phrase};

/// An attachment, prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// `N: line`, `[PAGE n]` and lines, or `column: statistics`.
    pub(crate) text: String,
}

/// A line of a document that speaks of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) location: String,
    pub(crate) quote: String,
}

/// Decodes all attachments that came with a payload.
///
/// # Errors
///
/// `BAD_INPUT` with a hint, for a payload that cannot be decoded or is over a limit.
pub(crate) fn documents(attachments: &[Attachment]) -> Result<Vec<Document>, ErrorV1> {
    let mut total = 0;
    let mut documents = Vec::new();
    for attachment in attachments {
        let Some(payload) = &attachment.payload else {
            continue;
        };
        let text = decode(&attachment.name, payload)?;
        let chars = text.chars().count();
        if chars > ATTACHMENT_MAX_CHARS {
            return Err(refused(
                &attachment.name,
                "is too long",
                "Attachments are limited to 5k characters each: send the part that matters.",
                json!({ "chars": chars, "max_chars": ATTACHMENT_MAX_CHARS }),
            ));
        }
        total += chars;
        if total > ATTACHMENTS_TOTAL_MAX_CHARS {
            return Err(refused(
                &attachment.name,
                "is one too many",
                "Attachments are limited to 50k characters in all: send fewer.",
                json!({ "chars": total, "max_chars": ATTACHMENTS_TOTAL_MAX_CHARS }),
            ));
        }
        documents.push(Document {
            name: attachment.name.clone(),
            kind: attachment.kind,
            text: prepare(attachment, &text)?,
        });
    }
    Ok(documents)
}

impl Document {
    /// The line that speaks most of `cues` (in lower case), the first of equals; `None` if none does.
    pub(crate) fn passage(&self, cues: &[&str]) -> Option<Passage> {
        let mut page = String::new();
        let mut best: Option<(usize, Passage)> = None;
        for line in self.text.lines() {
            if let Some(number) = line.strip_prefix("[PAGE ") {
                page = format!("page {}", number.trim_end_matches(']'));
                continue;
            }
            let (head, rest) = line.split_once(": ").unwrap_or(("", line));
            let (location, quote) = match self.kind {
                "pdf" => (page.clone(), line),
                "csv" => (format!("column {head}"), line),
                _ => (format!("line {head}"), rest),
            };
            let lower = line.to_lowercase();
            let hits = cues.iter().filter(|cue| count_phrase(&lower, cue) > 0).count();
            if hits > best.as_ref().map_or(0, |(hits, _)| *hits) {
                let quote = clip(quote, 100);
                best = Some((hits, Passage { location, quote }));
            }
        }
        best.map(|(_, passage)| passage)
    }
}

fn decode(name: &str, payload: &Payload) -> Result<String, ErrorV1> {
    let bad = |problem: &str, hint: &str| Err(refused(name, problem, hint, json!({})));
    match payload.encoding.as_deref().unwrap_or("base64") {
        "utf8" | "utf-8" => Ok(payload.data.clone()),
        "base64" => {
            // Canonical only: what does not encode back to itself was damaged on the way, or was never base64.
            let bytes = STANDARD.decode(&payload.data).ok();
            let Some(bytes) = bytes.filter(|bytes| STANDARD.encode(bytes) == payload.data) else {
                return bad("is not valid base64", "Send standard base64 with padding.");
            };
            match String::from_utf8(bytes) {
                Ok(text) => Ok(text),
                Err(_) => bad("is not text", "Send UTF-8 text, of a PDF its extracted text."),
            }
        }
        _ => bad("has an unknown encoding", "Use base64 or utf-8."),
    }
}

fn prepare(attachment: &Attachment, text: &str) -> Result<String, ErrorV1> {
    match attachment.kind {
        "csv" => Ok(table::statistics(text)),
        "pdf" if text.starts_with("%PDF-") => Err(refused(
            &attachment.name,
            "is a PDF file",
            "This server reads no PDF files: send the extracted text, with a form feed between pages.",
            json!({}),
        )),
        "pdf" => Ok(pages(text)),
        _ => Ok(numbered(text)),
    }
}

fn numbered(text: &str) -> String {
    let lines = text.lines().enumerate();
    let lines: Vec<String> = lines.map(|(i, line)| format!("{}: {line}", i + 1)).collect();
    lines.join("\n")
}

fn pages(text: &str) -> String {
    let pages = text.split('\u{c}').enumerate();
    let pages: Vec<String> = pages.map(|(i, page)| format!("[PAGE {}]\n{}", i + 1, page.trim_matches('\n'))).collect();
    pages.join("\n")
}

fn refused(name: &str, problem: &str, hint: &str, mut details: Value) -> ErrorV1 {
    let name = clip(name, 60);
    if let Some(details) = details.as_object_mut() {
        details.insert("hint".to_owned(), json!(hint));
        details.insert("attachment".to_owned(), json!(name));
    }
    bad_input(format!("Attachment {name} {problem}"), details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(kind: &'static str, text: &str) -> Attachment {
        Attachment {
            kind,
            name: format!("file.{kind}"),
            payload: Some(Payload { data: STANDARD.encode(text), encoding: None }),
        }
    }

    fn raw(data: &str, encoding: Option<&str>) -> Attachment {
        Attachment {
            kind: "txt",
            name: "raw".into(),
            payload: Some(Payload { data: data.into(), encoding: encoding.map(str::to_owned) }),
        }
    }

    fn hint(attachments: &[Attachment]) -> String {
        let error = documents(attachments).unwrap_err();
        assert_eq!(error.code, "BAD_INPUT");
        error.details.unwrap()["hint"].as_str().unwrap().to_owned()
    }

    #[test]
    fn each_kind_is_prepared_in_its_way() {
        let files = [
            attachment("txt", "one\ntwo"),
            attachment("pdf", "first\u{c}second"),
            attachment("csv", "price,name\n10,a\n20,b\n"),
        ];
        let texts: Vec<String> = documents(&files).unwrap().into_iter().map(|d| d.text).collect();
        assert_eq!(texts[0], "1: one\n2: two");
        assert_eq!(texts[1], "[PAGE 1]\nfirst\n[PAGE 2]\nsecond");
        assert_eq!(texts[2], "price: count=2 mean=15 p50=20 p90=20");
    }

    #[test]
    fn a_file_may_have_5k_characters_and_all_together_50k() {
        assert!(documents(&[attachment("txt", &"ü".repeat(5000))]).is_ok());
        assert!(hint(&[attachment("txt", &"x".repeat(5001))]).contains("5k"));
        let mut files = vec![attachment("txt", &"x".repeat(5000)); 10];
        assert!(documents(&files).is_ok());
        files.push(attachment("txt", "x"));
        assert!(hint(&files).contains("50k"));
    }

    #[test]
    fn base64_must_come_back_the_same() {
        assert!(documents(&[raw("aGk=", Some("base64"))]).is_ok());
        for broken in ["aGk", "aGl=", "a Gk=", "aGk=\n", "hello!", "aG-_"] {
            assert!(hint(&[raw(broken, None)]).contains("base64"), "{broken}");
        }
        assert!(hint(&[raw("/////w==", None)]).contains("UTF-8"));
        assert!(hint(&[raw("x", Some("rot13"))]).contains("utf-8"));
        assert_eq!(documents(&[raw("plain", Some("utf-8"))]).unwrap()[0].text, "1: plain");
    }

    #[test]
    fn a_raw_pdf_is_refused_with_a_hint() {
        assert!(hint(&[attachment("pdf", "%PDF-1.7 ...")]).contains("extracted text"));
    }

    #[test]
    fn a_passage_is_the_line_that_speaks_most_of_it() {
        let files = [
            attachment("txt", "nothing\nthe price is fine\nprice of the plan rose"),
            attachment("pdf", "intro\u{c}about the plan"),
            attachment("csv", "plan,x\n1,2\n"),
        ];
        let found: Vec<Passage> =
            documents(&files).unwrap().iter().filter_map(|d| d.passage(&["price", "plan"])).collect();
        assert_eq!((found[0].location.as_str(), found[0].quote.as_str()), ("line 3", "price of the plan rose"));
        assert_eq!((found[1].location.as_str(), found[1].quote.as_str()), ("page 2", "about the plan"));
        assert_eq!(found[2].location, "column plan");
        assert_eq!(documents(&files).unwrap()[0].passage(&["moon"]), None);
    }
}
