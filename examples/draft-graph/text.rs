//! Small, total functions over prose. None of them can fail or cut a character in two.

/// `text` cut to at most `max` characters, at a word's end where there is one, with an ellipsis if anything went.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept = max.saturating_sub(1);
    let head: String = text.chars().take(kept).collect();
    let whole = text.chars().nth(kept).is_some_and(char::is_whitespace);
    // A word's end in the last third is worth the loss; further back too much would go.
    let cut = head.rfind(char::is_whitespace).filter(|at| !whole && at * 3 > head.len() * 2).unwrap_or(head.len());
    let head = head.get(..cut).unwrap_or(&head);
    format!("{}…", head.trim_end_matches(is_loose))
}

/// The first letter in upper case; the rest as it is.
pub(crate) fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Lower-case ASCII letters and digits joined by `_`; empty when there are none.
pub(crate) fn slug(text: &str, max: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if out.len() + word.len() + 1 > max && !out.is_empty() {
            break;
        }
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(&word.to_ascii_lowercase());
    }
    out.truncate(max);
    out
}

/// How often `phrase` occurs in `text` as whole words. Both in lower case.
pub(crate) fn count_phrase(text: &str, phrase: &str) -> usize {
    text.match_indices(phrase)
        .filter(|(at, _)| {
            let before = text.get(..*at).and_then(|s| s.chars().next_back());
            let after = text.get(at + phrase.len()..).and_then(|s| s.chars().next());
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
        .count()
}

/// Whether `phrase` occurs in `text` as whole words. Both in lower case.
pub(crate) fn has_phrase(text: &str, phrase: &str) -> bool {
    count_phrase(text, phrase) > 0
}

/// The sentences of `text`, trimmed, each with its end mark. A point inside a number ends nothing.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let ends = match c {
            '\n' | ';' => true,
            '.' | '!' | '?' => next.is_none_or(char::is_whitespace),
            _ => false,
        };
        if ends {
            let end = at + c.len_utf8();
            found.extend(text.get(start..end));
            start = end;
        }
    }
    found.extend(text.get(start..));
    found.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    found.into_iter().map(str::trim).collect()
}

/// Punctuation and space that may not hang at a label's end.
pub(crate) fn is_loose(c: char) -> bool {
    c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '-' | '–' | '—' | '"' | '(')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clip_ends_at_a_word_and_never_exceeds_its_limit() {
        assert_eq!(clip("short", 10), "short");
        assert_eq!(clip("raise the price now, or later", 21), "raise the price now…");
        assert_eq!(clip("aaaaaaaaaaaaaaaaaaaa", 8), "aaaaaaa…");
    }

    #[test]
    fn sentences_keep_decimals_whole() {
        assert_eq!(sentences("Pay £1.5m now? Or later. \n\n ... done"), ["Pay £1.5m now?", "Or later.", "done"]);
    }

    #[test]
    fn phrases_match_whole_words_only() {
        assert!(has_phrase("should we build or buy it", "buy"));
        assert!(!has_phrase("buying", "buy"));
        assert_eq!(count_phrase("buy, buy, rebuy", "buy"), 2);
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Raise the Pro price — now!", 40), "raise_the_pro_price_now");
        assert_eq!(slug("日本", 10), "");
        assert_eq!(slug("one two three", 8), "one_two");
    }

    proptest! {
        #[test]
        fn nothing_here_panics_and_limits_hold(text in ".{0,200}", max in 1_usize..50) {
            prop_assert!(clip(&text, max).chars().count() <= max);
            prop_assert!(slug(&text, max).len() <= max);
            for sentence in sentences(&text) {
                prop_assert!(text.contains(sentence));
            }
            let _ = capitalise(&text);
        }
    }
}
