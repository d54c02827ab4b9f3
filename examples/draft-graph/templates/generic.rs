//! Any decision: do something new, or keep to what is.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_main", "What to do"),
    options: [
        OptionSlot {
            id: "opt_change",
            label: "Make the change",
            cues: &["change", "new", "start", "go", "launch", "add", "invest", "move"],
        },
        OptionSlot {
            id: "opt_status_quo",
            label: "Keep things as they are",
            cues: &["keep", "stay", "nothing", "wait", "continue", "remain", "status quo", "same"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_cost",
            label: "Cost",
            wants: &[Money],
            cues: &["budget", "cost", "costs", "spend", "price", "pay"],
            levels: Some([1.0, 0.3]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_time",
            label: "Time it takes",
            wants: &[Duration],
            cues: &["within", "months", "weeks", "years", "deadline", "by"],
            levels: Some([0.9, 0.2]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_effort",
            label: "Effort of the people involved",
            wants: &[Count],
            cues: &["people", "team", "engineers", "staff", "hours"],
            levels: Some([0.8, 0.4]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_environment",
            label: "Conditions that nobody here sets",
            wants: &[Percent, Count, Money],
            cues: &["market", "demand", "growth", "customers", "rate", "chance"],
            levels: None,
            value: 0.5,
        },
    ],
    results: &[
        ("out_benefit", "The benefit hoped for"),
        ("out_learning", "What is learnt on the way"),
        ("risk_overrun", "It costs more than thought"),
        ("risk_missed_chance", "A chance is missed"),
    ],
    goal: ("goal_main", "A good outcome for those concerned"),
    links: &[
        Link("fac_cost", "risk_overrun", 2),
        Link("fac_time", "out_benefit", -1),
        Link("fac_time", "risk_missed_chance", 2),
        Link("fac_effort", "out_learning", 2),
        Link("fac_effort", "out_benefit", 3),
        Link("fac_environment", "out_benefit", 2),
        Link("out_benefit", "goal_main", 3),
        Link("out_learning", "goal_main", 1),
        Link("risk_overrun", "goal_main", -2),
        Link("risk_missed_chance", "goal_main", -1),
    ],
};
