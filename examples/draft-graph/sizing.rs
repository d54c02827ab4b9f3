//! Gives factors their size: which number of the text belongs to which factor, and what each option makes of it.

use crate::graph::{Extraction, FactorData, Range};
use crate::numbers::{Measure, Quantity, round};
use crate::text::count_phrase;

/// A factor, as far as it matters which number is its own.
pub(crate) struct Want<'a> {
    /// What its number must measure; `None`: anything will do.
    pub(crate) measures: Option<&'a [Measure]>,
    /// In lower case.
    pub(crate) cues: &'a [&'a str],
    /// Whether an amount of money or time is its own even where none of its words stands near.
    pub(crate) takes_unnamed: bool,
}

/// For each factor the number that fits it best, if any; each number goes to one factor at most.
///
/// A number fits that measures the right thing; the more of the factor's words stand near it, the better. A percentage or
/// a count says nothing without such a word ("20%" of what?), so it needs one.
pub(crate) fn assign<'q>(wants: &[Want<'_>], quantities: &'q [Quantity]) -> Vec<Option<&'q Quantity>> {
    let mut pairs = Vec::new();
    for (f, want) in wants.iter().enumerate() {
        for (q, quantity) in quantities.iter().enumerate() {
            let fits = want.measures.is_none_or(|measures| measures.contains(&quantity.measure));
            let hits = want.cues.iter().filter(|cue| count_phrase(&quantity.context, cue) > 0).count();
            let plain = matches!(quantity.measure, Measure::Money | Measure::Duration);
            if fits && quantity.can_vary() && (hits > 0 || plain && want.takes_unnamed) {
                pairs.push((hits, f, q));
            }
        }
    }
    // Best first; of equals the first factor and the first number, so the result never depends on anything else.
    pairs.sort_by_key(|(hits, f, q)| (usize::MAX - hits, *f, *q));
    let mut given: Vec<Option<&Quantity>> = vec![None; wants.len()];
    let mut used = Vec::new();
    for (_, f, q) in pairs {
        if let Some(slot) = given.get_mut(f)
            && slot.is_none()
            && !used.contains(&q)
        {
            *slot = quantities.get(q);
            used.push(q);
        }
    }
    given
}

/// A factor's data from a number in the text.
pub(crate) fn explicit(quantity: &Quantity) -> FactorData {
    FactorData {
        value: quantity.value,
        baseline: quantity.baseline,
        unit: Some(quantity.unit.clone()),
        range: quantity.range.map(|(min, max)| Range { min, max }),
        extraction: Some(match quantity.range {
            Some(_) => Extraction::Range,
            None => Extraction::Explicit,
        }),
        // Two numbers that agree say more than one; a range says itself that it is not sure.
        confidence: Some(match (quantity.baseline, quantity.range) {
            (Some(_), _) => 0.95,
            (None, None) => 0.9,
            (None, Some(_)) => 0.8,
        }),
        range_min: quantity.range.map(|(min, _)| min),
        range_max: quantity.range.map(|(_, max)| max),
    }
}

/// A factor's data where no text gives a number.
pub(crate) fn inferred(value: f64) -> FactorData {
    FactorData {
        value,
        baseline: None,
        unit: None,
        range: Some(Range { min: 0.0, max: 1.0 }),
        extraction: Some(Extraction::Inferred),
        confidence: Some(0.5),
        range_min: None,
        range_max: None,
    }
}

/// What an option that takes a factor `level` far (0 to 1) sets it to, in the factor's own unit.
pub(crate) fn at_level(data: &FactorData, level: f64) -> f64 {
    let (from, to) = match (data.extraction, data.baseline, data.range) {
        (Some(Extraction::Inferred), _, _) => (0.0, 1.0),
        (_, Some(baseline), _) => (baseline, data.value),
        (_, None, Some(range)) => (range.min, range.max),
        (_, None, None) => (0.0, data.value),
    };
    round(from + (to - from) * level)
}

/// "£59/month (from £49/month)", for people.
pub(crate) fn spoken(quantity: &Quantity) -> String {
    let unit = &quantity.unit;
    let say = |value: f64| {
        let sign = unit.chars().next().filter(|c| matches!(c, '£' | '$' | '€'));
        match sign {
            Some(sign) => format!("{sign}{value}{}", unit.trim_start_matches(sign)),
            None if unit == "%" => format!("{value}%"),
            None => format!("{value} {unit}"),
        }
    };
    match (quantity.baseline, quantity.range) {
        (Some(baseline), _) => format!("{} (from {})", say(quantity.value), say(baseline)),
        (None, Some((min, max))) => format!("{} to {}", say(min), say(max)),
        (None, None) => say(quantity.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::quantities;

    #[test]
    fn numbers_go_to_the_factor_whose_words_stand_near_them() {
        let found = quantities(
            "A hosting bill of £900 per month. The migration would cost £40k, and growth is 20%. It took 5%.",
        );
        let wants = [
            Want { measures: Some(&[Measure::Money]), cues: &["migration", "cost"], takes_unnamed: true },
            Want { measures: Some(&[Measure::Money]), cues: &["hosting", "bill"], takes_unnamed: true },
            Want { measures: Some(&[Measure::Percent]), cues: &["growth"], takes_unnamed: true },
            Want { measures: Some(&[Measure::Percent]), cues: &["churn"], takes_unnamed: true },
        ];
        let given: Vec<Option<f64>> = assign(&wants, &found).iter().map(|q| q.map(|q| q.value)).collect();
        assert_eq!(given, [Some(40_000.0), Some(900.0), Some(20.0), None]);
    }

    #[test]
    fn each_number_is_given_once() {
        let found = quantities("It costs £10.");
        let want = |takes_unnamed| Want { measures: Some(&[Measure::Money]), cues: &[], takes_unnamed };
        let given = assign(&[want(false), want(true), want(true)], &found);
        assert!(given[0].is_none() && given[1].is_some() && given[2].is_none());
    }

    #[test]
    fn levels_are_read_in_the_factors_own_unit() {
        let of = |text: &str| explicit(&quantities(text)[0]);
        assert_eq!(at_level(&of("from £49 to £59"), 0.0), 49.0);
        assert_eq!(at_level(&of("from £49 to £59"), 1.0), 59.0);
        assert_eq!(at_level(&of("£200k"), 0.5), 100_000.0);
        assert_eq!(at_level(&of("3 to 6 months"), 1.0), 6.0);
        assert_eq!(at_level(&inferred(0.6), 0.3), 0.3);
    }

    #[test]
    fn quantities_are_spoken_as_they_were_written() {
        let spoken = |text: &str| spoken(&quantities(text)[0]);
        assert_eq!(spoken("from £49 to £59/month"), "£59/month (from £49/month)");
        assert_eq!(spoken("3 to 6 months"), "3 months to 6 months");
        assert_eq!(spoken("20 percent"), "20%");
        assert_eq!(spoken("3 engineers"), "3 engineers");
    }
}
