//! How strong an edge is: fixed where it is true by construction, varied within its band where it is a guess.
//!
//! The variation is a hash of the brief and the edge, so one brief always gives one graph, whatever else changes.

use crate::graph::{Direction, Edge, ProvenanceSource};
use crate::numbers::round;
use crate::topology::STRUCTURAL;

/// What everything random in a draft grows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seed(u64);

impl Seed {
    /// The seed of these texts, in this order.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        // FNV-1a, with a separator so that ("ab", "c") and ("a", "bc") differ.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in texts.into_iter().flat_map(|text| text.bytes().chain([0xff])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(hash)
    }

    /// A number from 0 to 1 that belongs to `name`.
    pub(crate) fn share(self, name: &str) -> f64 {
        // The finaliser of splitmix64: near hashes give far numbers.
        let mut x = Self::of([name]).0 ^ self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// An edge that is true by construction.
pub(crate) fn structural(from: &str, to: &str) -> Edge {
    let (mean, std, belief) = STRUCTURAL;
    Edge {
        strength_mean: Some(mean),
        strength_std: Some(std),
        belief_exists: Some(belief),
        provenance_source: Some(ProvenanceSource::Engine),
        effect_direction: Some(Direction::Positive),
        ..Edge::bare(from, to)
    }
}

/// A causal edge of this pull: 3 strong, 2 moderate, 1 weak, the sign its direction.
pub(crate) fn causal(seed: Seed, from: &str, to: &str, pull: i8) -> Edge {
    // The weaker an effect is thought to be, the less is known of it.
    let (mean, std, belief) = match pull.abs() {
        3.. => ((0.7, 0.9), (0.05, 0.15), (0.8, 0.99)),
        2 => ((0.4, 0.6), (0.1, 0.25), (0.6, 0.85)),
        _ => ((0.1, 0.3), (0.2, 0.5), (0.3, 0.6)),
    };
    let pick = |what: &str, (low, high): (f64, f64)| {
        let share = seed.share(&format!("{from}>{to}:{what}"));
        // Two places; the ends of all bands have two, so rounding stays inside.
        round(((low + (high - low) * share) * 100.0).round() / 100.0)
    };
    let mean = pick("mean", mean) * f64::from(pull.signum());
    Edge {
        strength_mean: Some(mean),
        strength_std: Some(pick("std", std)),
        belief_exists: Some(pick("belief", belief)),
        provenance_source: Some(ProvenanceSource::Hypothesis),
        effect_direction: Some(Direction::of(mean)),
        ..Edge::bare(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seeds_depend_on_every_text_and_its_place() {
        assert_eq!(Seed::of(["a", "b"]), Seed::of(["a", "b"]));
        assert_ne!(Seed::of(["a", "b"]), Seed::of(["ab"]));
        assert_ne!(Seed::of(["ab", "c"]), Seed::of(["a", "bc"]));
    }

    #[test]
    fn edges_vary_among_themselves() {
        let seed = Seed::of(["brief"]);
        let means: std::collections::BTreeSet<String> =
            (0..20).map(|i| format!("{:?}", causal(seed, "a", &format!("b{i}"), 3).strength_mean)).collect();
        assert!(means.len() > 8, "{means:?}");
    }

    proptest! {
        #[test]
        fn strengths_stay_within_their_band(text in ".{0,20}", from in "[a-z]{1,8}", pull in 1_i8..=3, down: bool) {
            let pull = if down { -pull } else { pull };
            let edge = causal(Seed::of([text.as_str()]), &from, "to", pull);
            let mean = edge.strength_mean.unwrap();
            let band = match pull.abs() { 3 => 0.7..=0.9, 2 => 0.4..=0.6, _ => 0.1..=0.3 };
            prop_assert!(band.contains(&mean.abs()));
            prop_assert_eq!(mean < 0.0, down);
            prop_assert_eq!(edge.effect_direction, Some(Direction::of(mean)));
            prop_assert!((0.05..=0.5).contains(&edge.strength_std.unwrap()));
            prop_assert!((0.3..=0.99).contains(&edge.belief_exists.unwrap()));
        }
    }
}
