//! Reads a brief: what is being decided, between which options, to which end. Words of the brief become labels of the graph.

use crate::text::{capitalise, clip, has_phrase, is_loose, sentences, slug};

/// Longest label taken from a brief, in characters.
const LABEL_CHARS: usize = 80;
/// Most options taken from a brief: more would not fit a graph that a person can read (see `assemble`).
pub(crate) const MAX_OPTIONS: usize = 4;

/// What a brief says, as far as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The decision in the brief's words; `None` where there is no sentence at all.
    pub(crate) decision: Option<String>,
    /// At least two, or none.
    pub(crate) options: Vec<String>,
    pub(crate) goal: Option<String>,
}

pub(crate) fn read(brief: &str) -> Reading {
    let sentences = sentences(brief);
    Reading {
        decision: decision(&sentences),
        options: sentences
            .iter()
            .map(|sentence| options(sentence))
            .find(|options| options.len() >= 2)
            .unwrap_or_default(),
        goal: sentences.iter().find_map(|sentence| goal(sentence)),
    }
}

/// A goal, an option or a decision as a label: no loose ends, a capital first, not too long. `None` if nothing is left.
pub(crate) fn label(text: &str) -> Option<String> {
    let text = text.trim_matches(is_loose);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    text.chars().any(char::is_alphanumeric).then(|| capitalise(&clip(&text, LABEL_CHARS)))
}

/// The sentence that poses the question, without the words that lead up to it.
fn decision(sentences: &[&str]) -> Option<String> {
    const SIGNS: [&str; 6] = ["should we", "should i", "whether", "decide", "deciding", "choose"];
    const LEADS: [&str; 7] = [
        "we need to decide ",
        "we have to decide ",
        "we must decide ",
        "we are deciding ",
        "we're deciding ",
        "i need to decide ",
        "help us decide ",
    ];
    let posed = |sentence: &&&str| {
        let lower = sentence.to_ascii_lowercase();
        SIGNS.iter().any(|sign| has_phrase(&lower, sign))
    };
    let sentence = sentences
        .iter()
        .find(posed)
        .or_else(|| sentences.iter().find(|sentence| sentence.ends_with('?')))
        .or_else(|| sentences.first())?;
    let lower = sentence.to_ascii_lowercase();
    let lead = LEADS.iter().find(|lead| lower.starts_with(*lead)).map_or(0, |lead| lead.len());
    let mut decision = label(sentence.get(lead..)?)?;
    if sentence.ends_with('?') && !decision.ends_with('…') {
        decision.push('?');
    }
    Some(decision)
}

/// What the brief calls its goal, from the cue to the end of the sentence.
fn goal(sentence: &str) -> Option<String> {
    const CUES: [&str; 14] = [
        "the goal is to ",
        "our goal is to ",
        "the goal is ",
        "our goal is ",
        "goal: ",
        "success means ",
        "success is ",
        "success looks like ",
        "the aim is to ",
        "our aim is to ",
        "the objective is to ",
        "our target is ",
        "so that we can ",
        "in order to ",
    ];
    let at = CUES.iter().find_map(|cue| after(sentence, cue))?;
    label(at)
}

/// The options that a sentence sets against each other.
fn options(sentence: &str) -> Vec<String> {
    const LISTS: [&str; 4] = ["the options are ", "options are ", "options: ", "options are: "];
    const QUESTIONS: [&str; 10] = [
        "whether to ",
        "whether we should ",
        "should we ",
        "should i ",
        "do we ",
        "choose between ",
        "choosing between ",
        "decide between ",
        "deciding between ",
        "either ",
    ];
    if after(sentence, "whether or not").is_some() {
        return Vec::new();
    }
    let listed = LISTS.iter().find_map(|cue| after(sentence, cue));
    let asked = QUESTIONS.iter().find_map(|cue| after(sentence, cue));
    let between = asked.filter(|_| {
        let lower = sentence.to_ascii_lowercase();
        has_phrase(&lower, "between")
    });
    let Some(body) = listed.or(asked).or_else(|| versus(sentence)) else {
        return Vec::new();
    };
    let body = body.split(['?', ';', '\n']).next().unwrap_or(body);
    let mut parts = split(body, listed.is_some() || between.is_some());
    parts.retain(|part| part.split_whitespace().count() <= 16);
    let mut seen = Vec::new();
    parts.retain(|part| {
        let slug = slug(part, 60);
        let new = !seen.contains(&slug);
        seen.push(slug);
        new
    });
    parts.truncate(MAX_OPTIONS);
    if parts.len() < 2 {
        parts.clear();
    }
    parts
}

/// A whole sentence that is nothing but "X vs Y".
fn versus(sentence: &str) -> Option<&str> {
    let lower = sentence.to_ascii_lowercase();
    let is = [" vs ", " vs. ", " versus "].iter().any(|mark| lower.contains(mark));
    is.then_some(sentence)
}

/// Cuts at "or" and "vs"; at commas too where they clearly list; and at "and" behind "between".
fn split(body: &str, list: bool) -> Vec<String> {
    let mut marks = vec![", or ", " or ", " vs. ", " vs ", " versus "];
    let lower = body.to_ascii_lowercase();
    let commas = lower.matches(", ").count();
    let short = lower.split(", ").all(|part| part.split_whitespace().count() <= 8);
    if commas > 0 && short && (list || lower.contains(", or ")) {
        marks.push(", and ");
        marks.push(", ");
    }
    if list && !marks.iter().any(|mark| lower.contains(mark)) {
        marks.push(" and ");
    }
    let mut parts = vec![body];
    for mark in marks {
        parts = parts.into_iter().flat_map(|part| cut(part, mark)).collect();
    }
    parts
        .into_iter()
        .map(|part| part.trim_start_matches("either ").trim_start_matches("to "))
        .filter_map(label)
        .collect()
}

/// `text` cut at every `mark`, whatever its case.
fn cut<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let lower = text.to_ascii_lowercase();
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in lower.match_indices(mark) {
        parts.extend(text.get(start..at));
        start = at + mark.len();
    }
    parts.extend(text.get(start..));
    parts
}

/// What follows `cue` in `text`, whatever its case. The cue begins at a word.
fn after<'a>(text: &'a str, cue: &str) -> Option<&'a str> {
    // ASCII lower case keeps every byte in its place.
    let lower = text.to_ascii_lowercase();
    let (at, _) = lower.match_indices(cue).find(|(at, _)| {
        let before = lower.get(..*at).and_then(|head| head.chars().next_back());
        !before.is_some_and(char::is_alphanumeric)
    })?;
    text.get(at + cue.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_picked_out_as_people_write_them() {
        let cases: &[(&str, &[&str])] = &[
            ("Should we build or buy?", &["Build", "Buy"]),
            (
                "Should we raise the Pro price from £49 to £59, or keep it and bundle support?",
                &["Raise the Pro price from £49 to £59", "Keep it and bundle support"],
            ),
            (
                "Options are: hire contractors, use an agency, or build with the current team.",
                &["Hire contractors", "Use an agency", "Build with the current team"],
            ),
            ("We must choose between Postgres and Mongo.", &["Postgres", "Mongo"]),
            ("Postgres vs Mongo", &["Postgres", "Mongo"]),
            ("We need to decide whether to migrate to AWS or stay put.", &["Migrate to AWS", "Stay put"]),
            (
                "Should we hire two engineers, contract an agency, or wait?",
                &["Hire two engineers", "Contract an agency", "Wait"],
            ),
            ("Should we go or go?", &[]),
            ("We wonder whether or not to go or stay.", &[]),
            ("It rains more or less daily.", &[]),
            ("Should we pick a or b or c or d or e?", &["Pick a", "B", "C", "D"]),
        ];
        for (brief, expected) in cases {
            assert_eq!(&read(brief).options, expected, "{brief}");
        }
    }

    #[test]
    fn decision_and_goal_are_in_the_briefs_own_words() {
        let reading = read(
            "We run a small SaaS. We need to decide whether to move to annual plans or stay monthly. \
             Success means reaching £1.5m ARR within 12 months.",
        );
        assert_eq!(reading.decision.as_deref(), Some("Whether to move to annual plans or stay monthly"));
        assert_eq!(reading.goal.as_deref(), Some("Reaching £1.5m ARR within 12 months"));
    }

    #[test]
    fn a_question_is_the_decision_and_the_first_sentence_is_the_last_resort() {
        assert_eq!(read("Hello there. Which one is it?").decision.as_deref(), Some("Which one is it?"));
        assert_eq!(read("Hello there. All good.").decision.as_deref(), Some("Hello there"));
        assert_eq!(read("... !!! ").decision, None);
    }

    proptest! {
        #[test]
        fn any_brief_gives_none_or_two_to_four_distinct_labels(brief in ".{0,300}") {
            let reading = read(&brief);
            prop_assert!(reading.options.len() != 1 && reading.options.len() <= MAX_OPTIONS);
            for text in reading.options.iter().chain(&reading.decision).chain(&reading.goal) {
                prop_assert!(text.chars().count() <= LABEL_CHARS + 2 && !text.trim().is_empty());
            }
        }
    }
}
