//! Hire people, or contract them.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_staffing", "How to staff the work"),
    options: [
        OptionSlot {
            id: "opt_hire",
            label: "Hire permanent staff",
            cues: &["hire", "recruit", "permanent", "employ", "employees", "full-time", "full time"],
        },
        OptionSlot {
            id: "opt_contract",
            label: "Work with contractors",
            cues: &["contract", "contractor", "contractors", "freelancer", "freelancers", "agency", "outsource"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_staff_cost",
            label: "Yearly cost of the team",
            wants: &[Money],
            cues: &["budget", "cost", "costs", "salary", "salaries", "rate", "spend"],
            levels: Some([0.7, 1.0]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_time_to_start",
            label: "Time until they are productive",
            wants: &[Duration],
            cues: &["start", "within", "months", "weeks", "deadline", "launch", "onboard"],
            levels: Some([0.9, 0.3]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_knowledge_kept",
            label: "Knowledge that stays in the house",
            wants: &[Percent],
            cues: &["knowledge", "expertise", "retain", "handover", "culture"],
            levels: Some([0.9, 0.3]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_workload",
            label: "Size of the work",
            wants: &[Count, Duration],
            cues: &["engineers", "people", "project", "team", "developers", "workload"],
            levels: None,
            value: 0.6,
        },
    ],
    results: &[
        ("out_delivery", "Work delivered on time"),
        ("out_capability", "Lasting capability"),
        ("risk_overspend", "Spending over budget"),
        ("risk_wrong_hire", "The wrong people"),
    ],
    goal: ("goal_capacity", "Get the work done and keep the means to do more"),
    links: &[
        Link("fac_staff_cost", "risk_overspend", 3),
        Link("fac_time_to_start", "out_delivery", -2),
        Link("fac_time_to_start", "risk_wrong_hire", -1),
        Link("fac_knowledge_kept", "out_capability", 3),
        Link("fac_workload", "out_delivery", -1),
        Link("fac_workload", "risk_overspend", 1),
        Link("out_delivery", "goal_capacity", 3),
        Link("out_capability", "goal_capacity", 2),
        Link("risk_overspend", "goal_capacity", -2),
        Link("risk_wrong_hire", "goal_capacity", -1),
    ],
};
