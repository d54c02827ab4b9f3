//! Go into a new market, or do better in the present one.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_market", "Where to grow"),
    options: [
        OptionSlot {
            id: "opt_expand",
            label: "Expand into a new market",
            cues: &["expand", "enter", "new", "launch in", "international", "diversify", "open"],
        },
        OptionSlot {
            id: "opt_focus",
            label: "Focus on the core market",
            cues: &["focus", "core", "existing", "current", "double down", "deepen", "stay"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_investment",
            label: "Investment",
            wants: &[Money],
            cues: &["budget", "invest", "investment", "cost", "spend", "funding"],
            levels: Some([1.0, 0.4]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_management_attention",
            label: "Attention of the management",
            wants: &[Count],
            cues: &["team", "people", "staff", "managers", "offices"],
            levels: Some([0.9, 0.5]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_time_to_revenue",
            label: "Time to the first revenue",
            wants: &[Duration],
            cues: &["within", "months", "years", "payback", "break even", "breakeven"],
            levels: Some([0.9, 0.3]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_demand",
            label: "Demand in the new market",
            wants: &[Percent, Count],
            cues: &["demand", "market", "customers", "growth", "growing", "share", "users"],
            levels: None,
            value: 0.6,
        },
    ],
    results: &[
        ("out_new_revenue", "New revenue"),
        ("out_core_strength", "Strength in the core market"),
        ("risk_overstretch", "The organisation is overstretched"),
        ("risk_slow_payback", "Money comes back late"),
    ],
    goal: ("goal_sustainable_growth", "Growth that lasts"),
    links: &[
        Link("fac_investment", "out_new_revenue", 2),
        Link("fac_investment", "risk_slow_payback", 1),
        Link("fac_management_attention", "risk_overstretch", 2),
        Link("fac_management_attention", "out_core_strength", -1),
        Link("fac_time_to_revenue", "risk_slow_payback", 3),
        Link("fac_demand", "out_new_revenue", 3),
        Link("out_new_revenue", "goal_sustainable_growth", 3),
        Link("out_core_strength", "goal_sustainable_growth", 2),
        Link("risk_overstretch", "goal_sustainable_growth", -2),
        Link("risk_slow_payback", "goal_sustainable_growth", -1),
    ],
};
