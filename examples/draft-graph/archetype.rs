//! Which kind of decision a brief is about, by the words it uses.

use crate::text::count_phrase;

/// A kind of decision for which there is a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archetype {
    Pricing,
    HireVsContract,
    BuildVsBuy,
    ExpandVsFocus,
    MigrateVsStay,
    TechnicalDebt,
    Generic,
}

impl Archetype {
    pub(crate) const ALL: [Self; 7] = [
        Self::Pricing,
        Self::HireVsContract,
        Self::BuildVsBuy,
        Self::ExpandVsFocus,
        Self::MigrateVsStay,
        Self::TechnicalDebt,
        Self::Generic,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::HireVsContract => "hire-vs-contract",
            Self::BuildVsBuy => "build-vs-buy",
            Self::ExpandVsFocus => "expand-vs-focus",
            Self::MigrateVsStay => "migrate-vs-stay",
            Self::TechnicalDebt => "technical-debt",
            Self::Generic => "generic",
        }
    }

    /// Words that speak for it. A phrase of several words says more than one word, and counts double.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Pricing => &[
                "price",
                "prices",
                "pricing",
                "discount",
                "subscription",
                "tier",
                "tiers",
                "plan price",
                "raise the price",
                "price increase",
                "per seat",
                "freemium",
                "arpu",
                "mrr",
            ],
            Self::HireVsContract => &[
                "hire",
                "hiring",
                "contractor",
                "contractors",
                "freelancer",
                "freelancers",
                "recruit",
                "full time",
                "full-time",
                "headcount",
                "permanent staff",
                "agency",
                "employees",
            ],
            Self::BuildVsBuy => &[
                "build",
                "buy",
                "in-house",
                "in house",
                "vendor",
                "vendors",
                "off the shelf",
                "off-the-shelf",
                "outsource",
                "licence",
                "license",
                "build or buy",
                "buy or build",
                "saas product",
            ],
            Self::ExpandVsFocus => &[
                "expand",
                "expansion",
                "new market",
                "new markets",
                "new region",
                "enter",
                "launch in",
                "focus",
                "core market",
                "diversify",
                "international",
                "double down",
            ],
            Self::MigrateVsStay => &[
                "migrate",
                "migration",
                "migrating",
                "move to",
                "switch to",
                "legacy platform",
                "cloud",
                "replatform",
                "aws",
                "azure",
                "stay on",
                "on premise",
                "on-premise",
                "upgrade",
            ],
            Self::TechnicalDebt => &[
                "technical debt",
                "tech debt",
                "refactor",
                "refactoring",
                "rewrite",
                "legacy code",
                "code quality",
                "test coverage",
                "maintainability",
                "new features",
            ],
            Self::Generic => &[],
        }
    }
}

/// The archetype of a brief: the client's hint where it names one, else the one with the most words in the brief, else generic.
pub(crate) fn detect(brief: &str, hint: Option<&str>) -> Archetype {
    hint.and_then(from_hint)
        .or_else(|| hint.and_then(by_words))
        .or_else(|| by_words(brief))
        .unwrap_or(Archetype::Generic)
}

/// The words of the brief that speak for an archetype, each once, for the rationale.
pub(crate) fn evidence(archetype: Archetype, brief: &str) -> Vec<&'static str> {
    let lower = brief.to_lowercase();
    let words = archetype.words().iter().copied();
    words.filter(|word| count_phrase(&lower, word) > 0).collect()
}

fn from_hint(hint: &str) -> Option<Archetype> {
    let words: Vec<String> = hint
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    match words.join("-").as_str() {
        "buy-vs-build" => Some(Archetype::BuildVsBuy),
        "tech-debt" => Some(Archetype::TechnicalDebt),
        "pricing-decision" | "price" => Some(Archetype::Pricing),
        name => Archetype::ALL.into_iter().find(|a| a.name() == name),
    }
}

fn by_words(text: &str) -> Option<Archetype> {
    let lower = text.to_lowercase();
    let score = |archetype: Archetype| -> usize {
        archetype
            .words()
            .iter()
            .map(|word| count_phrase(&lower, word) * if word.contains([' ', '-']) { 2 } else { 1 })
            .sum()
    };
    // Of equal scores the first in `ALL` counts: `max_by_key` keeps the last, so we walk backwards.
    Archetype::ALL
        .into_iter()
        .rev()
        .map(|archetype| (score(archetype), archetype))
        .filter(|(score, _)| *score > 0)
        .max_by_key(|(score, _)| *score)
        .map(|(_, archetype)| archetype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_archetype_is_found_by_its_words() {
        let cases = [
            ("Should we raise the price of our Pro tier?", Archetype::Pricing),
            ("Hire two engineers or work with contractors?", Archetype::HireVsContract),
            ("Build the billing system in-house or buy from a vendor?", Archetype::BuildVsBuy),
            ("Expand to Germany or focus on the UK core market?", Archetype::ExpandVsFocus),
            ("Migrate to AWS or stay on our own servers?", Archetype::MigrateVsStay),
            ("Pay down technical debt or ship new features?", Archetype::TechnicalDebt),
            ("Which of the two gardens is nicer in spring?", Archetype::Generic),
        ];
        for (brief, expected) in cases {
            assert_eq!(detect(brief, None), expected, "{brief}");
        }
    }

    #[test]
    fn a_hint_wins_and_an_unknown_one_is_ignored() {
        let brief = "Should we raise the price of our Pro tier?";
        assert_eq!(detect(brief, Some("hire_vs_contract")), Archetype::HireVsContract);
        assert_eq!(detect(brief, Some("Buy vs Build")), Archetype::BuildVsBuy);
        assert_eq!(detect(brief, Some("generic")), Archetype::Generic);
        assert_eq!(detect(brief, Some("a migration")), Archetype::MigrateVsStay);
        assert_eq!(detect(brief, Some("no such thing")), Archetype::Pricing);
    }

    #[test]
    fn every_name_is_a_hint_for_itself() {
        for archetype in Archetype::ALL {
            assert_eq!(from_hint(archetype.name()), Some(archetype));
        }
    }
}
