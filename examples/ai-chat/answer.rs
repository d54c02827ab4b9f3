//! What a model would say: the same words for the same question, one at a time.

/// The words of the answer, each with the space that follows it.
pub(crate) fn words(question: &str) -> Vec<String> {
    let question = question.trim();
    let text = format!(
        "You asked: \u{201c}{question}\u{201d} \u{2013} here is an answer that takes its time. It is made of single words, so that \
         there is enough of it to lose: cut the connection, reload the page, open a second tab, or ask again on another \
         node. Each of them brings back the words that were said so far, and then those that are being said now. Nothing is \
         said twice, and nothing is left out \u{1f9f5}. When the last word has come, there is nothing to attach to any more, and \
         the answer is found in the history of the chat."
    );
    text.split_inclusive(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn the_words_make_up_the_answer_and_quote_the_question() {
        let words = words(" Why?\n");
        assert!(words.len() > 50, "{}", words.len());
        assert!(words.concat().starts_with("You asked: \u{201c}Why?\u{201d}"));
        assert!(words.iter().rev().skip(1).all(|word| word.ends_with(' ')));
    }
}
