//! Move to another platform, or stay.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_platform", "Which platform to run on"),
    options: [
        OptionSlot {
            id: "opt_migrate",
            label: "Migrate to the new platform",
            cues: &["migrate", "move", "switch", "replatform", "upgrade", "new"],
        },
        OptionSlot {
            id: "opt_stay",
            label: "Stay on the present platform",
            cues: &["stay", "keep", "remain", "current", "existing", "present"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_migration_cost",
            label: "Cost of the move",
            wants: &[Money],
            cues: &["budget", "cost", "costs", "migration", "move", "one-off", "spend"],
            levels: Some([1.0, 0.1]),
            value: 0.7,
        },
        FactorSlot {
            id: "fac_running_cost",
            label: "Running cost",
            wants: &[Money],
            cues: &["hosting", "running", "month", "year", "bill", "licences", "licenses"],
            levels: Some([0.5, 0.9]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_downtime",
            label: "Downtime during the change",
            wants: &[Duration],
            cues: &["downtime", "outage", "hours", "weekend", "freeze", "months", "weeks"],
            levels: Some([0.8, 0.1]),
            value: 0.4,
        },
        FactorSlot {
            id: "fac_load_growth",
            label: "Growth of the load",
            wants: &[Percent, Count],
            cues: &["growth", "growing", "traffic", "users", "requests", "load", "customers"],
            levels: None,
            value: 0.6,
        },
    ],
    results: &[
        ("out_scalability", "Room to grow"),
        ("out_savings", "Lower cost over time"),
        ("risk_disruption", "Service is disrupted"),
        ("risk_stagnation", "The platform falls behind"),
    ],
    goal: ("goal_reliable_platform", "A platform that carries the business"),
    links: &[
        Link("fac_migration_cost", "out_savings", -1),
        Link("fac_migration_cost", "out_scalability", 2),
        Link("fac_running_cost", "out_savings", -3),
        Link("fac_running_cost", "risk_stagnation", 1),
        Link("fac_downtime", "risk_disruption", 3),
        Link("fac_load_growth", "risk_stagnation", 2),
        Link("out_scalability", "goal_reliable_platform", 3),
        Link("out_savings", "goal_reliable_platform", 2),
        Link("risk_disruption", "goal_reliable_platform", -2),
        Link("risk_stagnation", "goal_reliable_platform", -2),
    ],
};
