//! Raise a price, or keep it.

use super::{FactorSlot, Link, OptionSlot, Template};
use crate::numbers::Measure::{Count, Money, Percent};

pub(super) static TEMPLATE: Template = Template {
    decision: ("dec_pricing", "How to price the product"),
    options: [
        OptionSlot {
            id: "opt_increase",
            label: "Increase the price",
            cues: &["raise", "increase", "higher", "put up", "charge more", "premium"],
        },
        OptionSlot {
            id: "opt_maintain",
            label: "Maintain the price",
            cues: &["keep", "maintain", "hold", "stay", "leave", "lower", "discount", "same"],
        },
    ],
    factors: &[
        FactorSlot {
            id: "fac_price",
            label: "Price",
            wants: &[Money],
            cues: &["price", "pricing", "plan", "pro", "per seat", "subscription", "charge"],
            levels: Some([1.0, 0.0]),
            value: 0.7,
        },
        FactorSlot {
            id: "fac_bundle",
            label: "Features in the bundle",
            wants: &[Count],
            cues: &["bundle", "features", "support", "include", "tier"],
            levels: Some([0.8, 0.4]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_communication",
            label: "Notice given to customers",
            wants: &[],
            cues: &["notice", "announce", "email", "tell", "grandfather"],
            levels: Some([0.9, 0.2]),
            value: 0.5,
        },
        FactorSlot {
            id: "fac_perceived_value",
            label: "Perceived value",
            wants: &[Percent],
            cues: &["value", "satisfaction", "nps", "quality", "worth"],
            levels: None,
            value: 0.6,
        },
        FactorSlot {
            id: "fac_market",
            label: "Price level in the market",
            wants: &[Money, Percent],
            cues: &["competitor", "competitors", "market", "rival", "alternatives"],
            levels: None,
            value: 0.5,
        },
    ],
    results: &[
        ("out_mrr", "Recurring revenue"),
        ("risk_churn", "Customers leave"),
        ("risk_competitor", "A competitor undercuts us"),
    ],
    goal: ("goal_growth", "Grow revenue and keep customers"),
    links: &[
        Link("fac_price", "out_mrr", 3),
        Link("fac_price", "risk_churn", 2),
        Link("fac_bundle", "fac_perceived_value", 2),
        Link("fac_perceived_value", "out_mrr", 2),
        Link("fac_communication", "risk_churn", -1),
        Link("fac_market", "risk_competitor", 2),
        Link("out_mrr", "goal_growth", 3),
        Link("risk_churn", "goal_growth", -3),
        Link("risk_competitor", "goal_growth", -1),
    ],
};
