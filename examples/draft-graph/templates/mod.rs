//! One template per archetype: what usually matters in such a decision, before the brief fills it in.
//!
//! Every template has a decision, two options, three factors that options set, one or two that they don't, outcomes,
//! risks and a goal. The tests below hold each of them to that.

mod build_vs_buy;
mod expand_vs_focus;
mod generic;
mod hire_vs_contract;
mod migrate_vs_stay;
mod pricing;
mod technical_debt;

use crate::archetype::Archetype;
use crate::numbers::Measure;

pub(crate) struct Template {
    /// Id of the decision, and what to call it where the brief has no words for it.
    pub(crate) decision: (&'static str, &'static str),
    /// The usual two: the change first, then what stands against it.
    pub(crate) options: [OptionSlot; 2],
    pub(crate) factors: &'static [FactorSlot],
    /// Ids and labels of outcomes (`out_`) and risks (`risk_`).
    pub(crate) results: &'static [(&'static str, &'static str)],
    pub(crate) goal: (&'static str, &'static str),
    pub(crate) links: &'static [Link],
}

pub(crate) struct OptionSlot {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    /// Words by which an option of the brief is known to be this one.
    pub(crate) cues: &'static [&'static str],
}

pub(crate) struct FactorSlot {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    /// What a number must measure to be this factor's size.
    pub(crate) wants: &'static [Measure],
    /// Words near a number, or in a document, that speak of this factor.
    pub(crate) cues: &'static [&'static str],
    /// How far each of the two options takes it, 0 to 1. `None`: no option sets it.
    pub(crate) levels: Option<[f64; 2]>,
    /// Its size where no text gives one, 0 to 1.
    pub(crate) value: f64,
}

/// A causal edge: from, to, and its pull. 3 is strong, 2 moderate, 1 weak; the sign is the effect's direction.
pub(crate) struct Link(pub(crate) &'static str, pub(crate) &'static str, pub(crate) i8);

pub(crate) fn of(archetype: Archetype) -> &'static Template {
    match archetype {
        Archetype::Pricing => &pricing::TEMPLATE,
        Archetype::HireVsContract => &hire_vs_contract::TEMPLATE,
        Archetype::BuildVsBuy => &build_vs_buy::TEMPLATE,
        Archetype::ExpandVsFocus => &expand_vs_focus::TEMPLATE,
        Archetype::MigrateVsStay => &migrate_vs_stay::TEMPLATE,
        Archetype::TechnicalDebt => &technical_debt::TEMPLATE,
        Archetype::Generic => &generic::TEMPLATE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_the_parts_and_every_link_has_both_ends() {
        for archetype in Archetype::ALL {
            let name = archetype.name();
            let t = of(archetype);
            let set = t.factors.iter().filter(|f| f.levels.is_some()).count();
            assert_eq!(set, 3, "{name}: factors that options set");
            assert!((1..=2).contains(&(t.factors.len() - set)), "{name}: other factors");
            let ids: Vec<&str> =
                t.factors.iter().map(|f| f.id).chain(t.results.iter().map(|r| r.0)).chain([t.goal.0]).collect();
            for Link(from, to, pull) in t.links {
                assert!(ids.contains(from) && ids.contains(to), "{name}: {from} -> {to}");
                assert!((1..=3).contains(&pull.abs()), "{name}: pull of {from} -> {to}");
            }
            // 1 decision, 1 goal and two options beside these.
            assert!((10..=12).contains(&(ids.len() + 3)), "{name}: {} nodes", ids.len() + 3);
        }
    }

    #[test]
    fn the_two_options_of_every_template_take_each_factor_differently_far() {
        for archetype in Archetype::ALL {
            for factor in of(archetype).factors {
                if let Some([a, b]) = factor.levels {
                    assert!((a - b).abs() >= 0.2, "{}: {}", archetype.name(), factor.id);
                    assert!((0.0..=1.0).contains(&a) && (0.0..=1.0).contains(&b));
                }
            }
        }
    }
}
