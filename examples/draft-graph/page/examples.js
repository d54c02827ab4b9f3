// One brief for each kind of decision that the drafter knows, the way people write them.

export const EXAMPLES = [
  ["Pricing", "Should we raise the price of our Pro plan from £49 to £59, or keep it and bundle support? The goal is to reach £20k MRR within 12 months while keeping monthly churn under 4%."],
  ["Hire or contract", "Should we hire two permanent engineers for £140k a year, or work with contractors? We have 6 months of work. The goal is to deliver the new app and keep the knowledge in the house."],
  ["Build or buy", "Should we build the billing service ourselves or buy one from a vendor? We have 3 engineers and a budget of £80k. Success means invoices going out within 4 months."],
  ["Expand or focus", "Should we expand into the German market or focus on our core market? We can invest £250k, and expect the first revenue after 9 months. The goal is growth that lasts."],
  ["Migrate or stay", "Should we migrate to AWS or stay on our own servers? The move would cost £60k, running costs are £9k a month, and load grows by 40% a year. Success means no outage that customers notice."],
  ["Technical debt", "Should we refactor the checkout code first, or ship new features first? Test coverage is 35%, the team is 5 people, and incidents cost us 2 days a month. The goal is a product that can still change next year."],
  ["Other", "Should we plant an orchard behind the school, or leave the meadow as it is? It would take 3 years and cost £4,000. The goal is that the children learn where food comes from."],
];
