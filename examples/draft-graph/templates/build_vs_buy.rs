//! Build it ourselves, or buy it.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_sourcing", "How to get the system"),
    options: [
        OptionSlot {
            id: "opt_build",
            label: "Build it in-house",
            cues: &["build", "in-house", "in house", "ourselves", "own", "develop"],
        },
        OptionSlot {
            id: "opt_buy",
            label: "Buy it from a vendor",
            cues: &["buy", "vendor", "off the shelf", "off-the-shelf", "license", "licence", "outsource", "saas"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_upfront_cost",
            label: "Cost to begin with",
            wants: &[Money],
            cues: &["budget", "cost", "costs", "upfront", "spend", "under", "licence", "license"],
            levels: Some([1.0, 0.5]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_time_to_launch",
            label: "Time until it runs",
            wants: &[Duration],
            cues: &["within", "months", "weeks", "launch", "deadline", "live", "by"],
            levels: Some([1.0, 0.4]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_fit",
            label: "Fit to our needs",
            wants: &[Percent],
            cues: &["fit", "needs", "requirements", "custom", "integration", "covers"],
            levels: Some([0.9, 0.6]),
            value: 0.7,
        },
        FactorSlot {
            id: "fac_team_capacity",
            label: "Capacity of the team",
            wants: &[Count],
            cues: &["engineers", "developers", "team", "people", "staff"],
            levels: None,
            value: 0.5,
        },
    ],
    results: &[
        ("out_speed", "Early value"),
        ("out_advantage", "A system that sets us apart"),
        ("risk_overrun", "Cost and time run over"),
        ("risk_lock_in", "Dependence on a supplier"),
    ],
    goal: ("goal_capability", "A working system at a sensible cost"),
    links: &[
        Link("fac_upfront_cost", "risk_overrun", 2),
        Link("fac_time_to_launch", "out_speed", -3),
        Link("fac_fit", "out_advantage", 3),
        Link("fac_fit", "risk_lock_in", -1),
        Link("fac_team_capacity", "risk_overrun", -2),
        Link("fac_team_capacity", "out_speed", 1),
        Link("out_speed", "goal_capability", 3),
        Link("out_advantage", "goal_capability", 2),
        Link("risk_overrun", "goal_capability", -2),
        Link("risk_lock_in", "goal_capability", -1),
    ],
};
