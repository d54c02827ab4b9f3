//! The numbers of a text: money, percentages, durations and counts, with "from … to …" and "between … and …".
//!
//! Two passes: `scan` finds each number with its mark or noun; [`quantities`] joins neighbours and adds context.

use crate::scan::{self, Number};
use crate::text::{clip, sentences};

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Money,
    Percent,
    Duration,
    Count,
}

/// A number, or two that belong together, found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) measure: Measure,
    pub(crate) value: f64,
    /// What it is now, where the text says "from … to …".
    pub(crate) baseline: Option<f64>,
    /// Both ends, where the text gives a range; `value` is then their middle.
    pub(crate) range: Option<(f64, f64)>,
    /// `£`, `£/month`, `%`, `months`, `engineers`.
    pub(crate) unit: String,
    /// The words around it, for people; at most 100 characters.
    pub(crate) quote: String,
    /// The words around it in lower case, to see what it is about.
    pub(crate) context: String,
}

impl Quantity {
    /// Whether two options can differ in it: nothing is left of zero, or of no change, however it is scaled.
    pub(crate) fn can_vary(&self) -> bool {
        let span = match (self.baseline, self.range) {
            (Some(baseline), _) => self.value - baseline,
            (None, Some((min, max))) => max - min,
            (None, None) => self.value,
        };
        span.abs() >= 0.01
    }
}

/// All quantities of `text`, in its order. What belongs together stands in one sentence.
pub(crate) fn quantities(text: &str) -> Vec<Quantity> {
    sentences(text).into_iter().flat_map(of_sentence).collect()
}

fn of_sentence(text: &str) -> Vec<Quantity> {
    let mut numbers = scan::numbers(text).into_iter().peekable();
    let mut found = Vec::new();
    while let Some(first) = numbers.next() {
        let pair = numbers.peek().and_then(|second| join(text, &first, second).map(|join| (join, second.clone())));
        let quantity = match pair {
            Some((join, second)) => {
                numbers.next();
                paired(text, join, &first, &second)
            }
            None => single(text, &first),
        };
        found.extend(quantity);
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Join {
    /// From the first to the second.
    Change,
    /// Somewhere between the two.
    Range,
}

fn join(text: &str, first: &Number, second: &Number) -> Option<Join> {
    if let (Some(a), Some(b)) = (first.measure, second.measure)
        && (a != b || (a != Measure::Count && first.unit != second.unit && !same_base(first, second)))
    {
        return None;
    }
    let between = text.get(first.end..second.start)?.trim().to_ascii_lowercase();
    let before = text.get(..first.start)?.trim_end();
    match between.as_str() {
        "to" if ends_with(before, "from") => Some(Join::Change),
        "and" if ends_with(before, "between") => Some(Join::Range),
        "to" | "-" | "–" | "—" => Some(Join::Range),
        _ => None,
    }
}

/// Whatever the case. Looks at the end alone, since this is asked for every number of a text.
fn ends_with(text: &str, word: &str) -> bool {
    let tail = text.len().checked_sub(word.len()).and_then(|at| text.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
}

/// `£` and `£/month` are one unit of which one side was said in short.
fn same_base(a: &Number, b: &Number) -> bool {
    let base = |unit: &str| unit.split('/').next().unwrap_or_default().to_owned();
    base(&a.unit) == base(&b.unit)
}

fn paired(text: &str, join: Join, first: &Number, second: &Number) -> Option<Quantity> {
    // "5 to 10%" and "£5-10k": what one side leaves out the other says.
    let measure = second.measure.or(first.measure)?;
    let unit = [&second.unit, &first.unit].into_iter().max_by_key(|unit| unit.len())?.clone();
    let mut low = first.value;
    if first.scale == 1.0 && second.scale > 1.0 && first.value < second.value / second.scale {
        low *= second.scale;
    }
    let high = second.value;
    let (value, baseline, range) = match join {
        Join::Change => (high, Some(low), None),
        Join::Range => (round((low + high) / 2.0), None, Some((low.min(high), low.max(high)))),
    };
    Some(Quantity {
        measure,
        value,
        baseline,
        range,
        unit,
        quote: quote(text, first.start, second.end),
        context: context(text, first.start, second.end),
    })
}

fn single(text: &str, number: &Number) -> Option<Quantity> {
    Some(Quantity {
        measure: number.measure?,
        value: number.value,
        baseline: None,
        range: None,
        unit: number.unit.clone(),
        quote: quote(text, number.start, number.end),
        context: context(text, number.start, number.end),
    })
}

/// Rounded to four places, so that a sum of decimals prints as a person would write it.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// How far around a number its context goes, in characters: about six words each way.
const CONTEXT_CHARS: usize = 36;

fn context(text: &str, start: usize, end: usize) -> String {
    let (before, middle, after) = around(text, start, end);
    format!("{before}{middle}{after}").to_lowercase()
}

fn quote(text: &str, start: usize, end: usize) -> String {
    let (before, middle, after) = around(text, start, end);
    // Where the limit has cut a word, the rest of it goes.
    let cut = |part: &str| part.chars().count() == CONTEXT_CHARS;
    let before = match before.find(char::is_whitespace) {
        Some(at) if cut(before) => before.get(at..).unwrap_or_default(),
        _ => before,
    };
    let after = match after.rfind(char::is_whitespace) {
        Some(at) if cut(after) => after.get(..at).unwrap_or_default(),
        _ => after,
    };
    let whole = format!("{before}{middle}{after}");
    let words: Vec<&str> = whole.split_whitespace().collect();
    clip(&words.join(" "), 100)
}

/// The text before, at and after a place, as far as the context goes.
fn around(text: &str, start: usize, end: usize) -> (&str, &str, &str) {
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(end..).unwrap_or_default();
    let from = before.char_indices().rev().take(CONTEXT_CHARS).last().map_or(before.len(), |(at, _)| at);
    let to = after.char_indices().take(CONTEXT_CHARS).last().map_or(0, |(at, c)| at + c.len_utf8());
    (
        before.get(from..).unwrap_or_default(),
        text.get(start..end).unwrap_or_default(),
        after.get(..to).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Measure, value, baseline, range, unit.
    type Row = (Measure, f64, Option<f64>, Option<(f64, f64)>, &'static str);

    #[test]
    fn numbers_are_read_as_people_write_them() {
        use Measure::{Count, Duration, Money, Percent};
        let cases: &[(&str, &[Row])] = &[
            ("a budget of $200k", &[(Money, 200_000.0, None, None, "$")]),
            (
                "cost £1.5m or €2 million",
                &[(Money, 1_500_000.0, None, None, "£"), (Money, 2_000_000.0, None, None, "€")],
            ),
            ("$1,250,000.50 in total", &[(Money, 1_250_000.5, None, None, "$")]),
            ("300 USD each", &[(Money, 300.0, None, None, "$")]),
            ("from £49 to £59", &[(Money, 59.0, Some(49.0), None, "£")]),
            ("from £49 to £59 per month", &[(Money, 59.0, Some(49.0), None, "£/month")]),
            ("from 49 to £59/month", &[(Money, 59.0, Some(49.0), None, "£/month")]),
            ("churn of 3.5%", &[(Percent, 3.5, None, None, "%")]),
            ("grow by 20 percent", &[(Percent, 20.0, None, None, "%")]),
            ("5-10% discount", &[(Percent, 7.5, None, Some((5.0, 10.0)), "%")]),
            ("between 5 and 10%", &[(Percent, 7.5, None, Some((5.0, 10.0)), "%")]),
            ("from 2% to 4%", &[(Percent, 4.0, Some(2.0), None, "%")]),
            ("in 6 months", &[(Duration, 6.0, None, None, "months")]),
            ("a 1-year plan", &[(Duration, 1.0, None, None, "years")]),
            ("3 to 6 months", &[(Duration, 4.5, None, Some((3.0, 6.0)), "months")]),
            ("£5–10k", &[(Money, 7_500.0, None, Some((5_000.0, 10_000.0)), "£")]),
            ("3 engineers", &[(Count, 3.0, None, None, "engineers")]),
            (
                "12 senior engineers and 40 people",
                &[(Count, 12.0, None, None, "engineers"), (Count, 40.0, None, None, "people")],
            ),
            ("from 4 to 9 sites", &[(Count, 9.0, Some(4.0), None, "sites")]),
            ("10k users", &[(Count, 10_000.0, None, None, "users")]),
            ("in 2026, v2 and Q3, section 4", &[]),
            ("no numbers at all", &[]),
            ("£ and % alone", &[]),
            ("£5 and 6%", &[(Money, 5.0, None, None, "£"), (Percent, 6.0, None, None, "%")]),
            ("5% to $9", &[(Percent, 5.0, None, None, "%"), (Money, 9.0, None, None, "$")]),
            ("99999999999999999999 users", &[]),
        ];
        for (text, expected) in cases {
            let found = quantities(text);
            let rows: Vec<Row> = found
                .iter()
                .map(|q| (q.measure, q.value, q.baseline, q.range, q.unit.as_str()))
                .map(|(m, v, b, r, u)| (m, v, b, r, &*u.to_owned().leak()))
                .collect();
            assert_eq!(&rows, expected, "{text}");
        }
    }

    #[test]
    fn the_quote_is_the_words_around_it_within_the_sentence() {
        let found = quantities("All is well. We might raise the Pro price from £49 to £59 this spring. Then rest.");
        assert_eq!(found[0].quote, "We might raise the Pro price from £49 to £59 this spring.");
        assert!(found[0].context.contains("raise the pro price"));
    }

    #[test]
    fn nothing_varies_around_zero_or_without_a_change() {
        assert!(!quantities("a cost of £0")[0].can_vary());
        assert!(!quantities("from £9 to £9")[0].can_vary());
        assert!(quantities("from £0 to £9")[0].can_vary());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ 0-9£$€%kmto.,a-z–\n-]{0,120}") {
            for q in quantities(&text) {
                prop_assert!(q.value.is_finite());
                prop_assert!(q.quote.chars().count() <= 100);
            }
        }
    }
}
