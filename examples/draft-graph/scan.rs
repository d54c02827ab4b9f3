//! Finds the single numbers of a text, each with its currency, its suffix and the noun behind it.

use crate::numbers::Measure;

/// One number. `measure` is `None` for a bare one: alone it says nothing, but a neighbour may lend it a meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) value: f64,
    /// What a `k` or `m` multiplied it with; 1 without.
    pub(crate) scale: f64,
    pub(crate) measure: Option<Measure>,
    pub(crate) unit: String,
}

/// Digits past which a number is an account number or noise, and no longer exact.
const MAX_DIGITS: usize = 15;

/// All numbers of `text`, in its order.
pub(crate) fn numbers(text: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(at) = text.get(rest..).and_then(|tail| tail.find(|c: char| c.is_ascii_digit())).map(|at| rest + at) {
        let (digits, value) = digits(text.get(at..).unwrap_or_default());
        let end = at + digits;
        rest = end;
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        // "v2" and "Q3" are names; "0.5.1" goes on where it began.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            continue;
        }
        if let Some(value) = value {
            let number = number(text, at, end, before, value);
            rest = number.end;
            found.push(number);
        }
    }
    found
}

/// The length of the number at the start of `text` and its value, with thousands separators and decimals.
fn digits(text: &str) -> (usize, Option<f64>) {
    let mut plain = String::new();
    let mut length = 0;
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut point = false;
    while let Some(byte) = bytes.get(length) {
        match byte {
            b'0'..=b'9' => plain.push(char::from(*byte)),
            // A separator only before exactly three digits.
            b',' if !point && digit(length + 1) && digit(length + 2) && digit(length + 3) && !digit(length + 4) => {}
            b'.' if !point && digit(length + 1) => {
                point = true;
                plain.push('.');
            }
            _ => break,
        }
        length += 1;
    }
    let short = plain.len() <= MAX_DIGITS;
    (length, plain.parse().ok().filter(|_| short))
}

fn number(text: &str, at: usize, mut end: usize, before: Option<char>, value: f64) -> Number {
    let currency = before.filter(|c| matches!(c, '£' | '$' | '€'));
    let start = at - currency.map_or(0, char::len_utf8);
    let mut scale = 1.0;
    if let Some((length, by)) = suffix(tail(text, end)) {
        end += length;
        scale = by;
    }
    let value = crate::numbers::round(value * scale);
    let made = |end, measure, unit: String| Number { start, end, value, scale, measure, unit };
    if let Some(currency) = currency {
        let (length, per) = per(tail(text, end));
        return made(end + length, Some(Measure::Money), format!("{currency}{per}"));
    }
    if let Some(length) = percent(tail(text, end)) {
        return made(end + length, Some(Measure::Percent), "%".to_owned());
    }
    if let Some((length, measure, unit)) = noun(tail(text, end)) {
        let bare_year = scale == 1.0 && (1900.0..2100.0).contains(&value);
        if !(bare_year && measure == Measure::Count) {
            return made(end + length, Some(measure), unit);
        }
    }
    made(end, None, String::new())
}

fn tail(text: &str, end: usize) -> &str {
    text.get(end..).unwrap_or_default()
}

/// `k`, `m`, `bn` right behind the digits, or a word for them.
fn suffix(tail: &str) -> Option<(usize, f64)> {
    const SUFFIXES: [(&str, f64); 6] =
        [("k", 1e3), ("m", 1e6), ("bn", 1e9), (" thousand", 1e3), (" million", 1e6), (" billion", 1e9)];
    let lower = head(tail, 12);
    SUFFIXES.into_iter().find(|(suffix, _)| starts_with_word(&lower, suffix)).map(|(suffix, by)| (suffix.len(), by))
}

fn percent(tail: &str) -> Option<usize> {
    let lower = head(tail, 12);
    if lower.starts_with('%') {
        return Some(1);
    }
    [" %", " percent", " per cent"].into_iter().find(|mark| lower.starts_with(mark)).map(str::len)
}

/// "per month", "/month", "a month" behind an amount of money.
fn per(tail: &str) -> (usize, String) {
    let lower = head(tail, 24);
    for lead in ["/", " per ", " a ", " an "] {
        for (unit, short) in [
            ("month", "month"),
            ("mo", "month"),
            ("year", "year"),
            ("week", "week"),
            ("day", "day"),
            ("hour", "hour"),
            ("user", "user"),
            ("seat", "seat"),
        ] {
            let phrase = format!("{lead}{unit}");
            if starts_with_word(&lower, &phrase) {
                return (phrase.len(), format!("/{short}"));
            }
        }
    }
    (0, String::new())
}

/// The noun that a number counts: a currency code, a time unit, or things. At most one adjective may stand between.
fn noun(tail: &str) -> Option<(usize, Measure, String)> {
    let joined = tail.strip_prefix([' ', '-', '\u{a0}'])?;
    let gap = tail.len() - joined.len();
    let word = word(joined);
    let lower = word.to_ascii_lowercase();
    for (code, sign) in [("gbp", "£"), ("usd", "$"), ("eur", "€"), ("dollars", "$"), ("pounds", "£"), ("euros", "€")]
    {
        if lower == code {
            return Some((gap + word.len(), Measure::Money, sign.to_owned()));
        }
    }
    for unit in ["hour", "day", "week", "month", "quarter", "year"] {
        if lower.strip_suffix('s').unwrap_or(&lower) == unit {
            return Some((gap + word.len(), Measure::Duration, format!("{unit}s")));
        }
    }
    if counts(&lower) {
        return Some((gap + word.len(), Measure::Count, lower));
    }
    if lower.len() < 3 || JOINTS.contains(&lower.as_str()) {
        return None;
    }
    let second_tail = joined.get(word.len()..)?.strip_prefix(' ')?;
    let second = self::word(second_tail);
    let lower = second.to_ascii_lowercase();
    counts(&lower).then(|| (gap + word.len() + 1 + second.len(), Measure::Count, lower))
}

/// Words that join; behind a number they begin something else.
const JOINTS: [&str; 12] = ["and", "but", "for", "from", "not", "now", "per", "the", "then", "this", "with", "versus"];

fn counts(word: &str) -> bool {
    const IRREGULAR: [&str; 4] = ["people", "staff", "children", "headcount"];
    const NOT_NOUNS: [&str; 8] = ["is", "was", "has", "as", "us", "its", "this", "plus"];
    IRREGULAR.contains(&word)
        || (word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !NOT_NOUNS.contains(&word))
}

/// The ASCII letters at the start of `text`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The first characters in lower case: enough to compare, without walking the whole text for each number.
fn head(text: &str, chars: usize) -> String {
    text.chars().take(chars).map(|c| c.to_ascii_lowercase()).collect()
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.chars().next().is_some_and(char::is_alphanumeric))
}
