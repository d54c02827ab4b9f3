//! Pay down technical debt, or go on with features.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Duration, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_debt", "How to deal with technical debt"),
    options: [
        OptionSlot {
            id: "opt_pay_down",
            label: "Pay down the debt first",
            cues: &["pay down", "refactor", "rewrite", "fix", "clean", "debt"],
        },
        OptionSlot {
            id: "opt_ship",
            label: "Ship features first",
            cues: &["feature", "features", "ship", "roadmap", "postpone", "continue", "carry on"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_refactoring_effort",
            label: "Effort spent on refactoring",
            wants: &[Duration, Percent],
            cues: &["refactor", "refactoring", "rewrite", "effort", "months", "sprints", "time"],
            levels: Some([1.0, 0.2]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_features_shipped",
            label: "Features shipped meanwhile",
            wants: &[Count],
            cues: &["features", "releases", "roadmap", "tickets", "stories"],
            levels: Some([0.3, 0.9]),
            value: 0.6,
        },
        FactorSlot {
            id: "fac_test_coverage",
            label: "Test coverage",
            wants: &[Percent],
            cues: &["coverage", "tests", "test", "quality"],
            levels: Some([0.9, 0.5]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_team_size",
            label: "Size of the team",
            wants: &[Count],
            cues: &["engineers", "developers", "team", "people"],
            levels: None,
            value: 0.5,
        },
        FactorSlot {
            id: "fac_commercial_pressure",
            label: "Commercial pressure",
            wants: &[Money, Duration],
            cues: &["revenue", "deal", "customers", "contract", "deadline", "worth"],
            levels: None,
            value: 0.6,
        },
    ],
    results: &[
        ("out_velocity", "Speed of later work"),
        ("out_revenue", "Revenue this year"),
        ("risk_incidents", "Incidents in production"),
    ],
    goal: ("goal_healthy_product", "A product that earns and can change"),
    links: &[
        Link("fac_refactoring_effort", "out_velocity", 3),
        Link("fac_features_shipped", "out_revenue", 3),
        Link("fac_features_shipped", "risk_incidents", 1),
        Link("fac_test_coverage", "risk_incidents", -2),
        Link("fac_team_size", "out_velocity", 1),
        Link("fac_commercial_pressure", "out_revenue", 1),
        Link("out_velocity", "goal_healthy_product", 2),
        Link("out_revenue", "goal_healthy_product", 3),
        Link("risk_incidents", "goal_healthy_product", -2),
    ],
};
