// What a node can stand for: its word, its outline, its sign. The colours are in page.css.

/** A rectangle with corners of one radius. */
const round = (radius) => (w, h) => {
  const r = Math.min(radius, h / 2, w / 2);
  return `M${r} 0H${w - r}A${r} ${r} 0 0 1 ${w} ${r}V${h - r}A${r} ${r} 0 0 1 ${w - r} ${h}H${r}A${r} ${r} 0 0 1 0 ${h - r}V${r}A${r} ${r} 0 0 1 ${r} 0Z`;
};
/** A rectangle whose four corners are cut off. */
const octagon = (w, h, c = 12) =>
  `M${c} 0H${w - c}L${w} ${c}V${h - c}L${w - c} ${h}H${c}L0 ${h - c}V${c}Z`;
/** Pointed at both sides. */
const hexagon = (w, h, c = 13) => `M${c} 0H${w - c}L${w} ${h / 2}L${w - c} ${h}H${c}L0 ${h / 2}Z`;
/** Leaning to the right. */
const leaning = (w, h, c = 12) => `M${c} 0H${w}L${w - c} ${h}H0Z`;
/** A rectangle with one corner folded. */
const folded = (w, h, c = 14) => `M0 0H${w - c}L${w} ${c}V${h}H0Z`;

/** In the order in which a decision is thought through. `sign` is drawn into a square of 12. */
export const KINDS = {
  decision: { word: "decision", outline: hexagon, sign: "M3.4 4.2a2.6 2.6 0 1 1 3.9 2.3Q6 7.3 6 8.4M6 10.9v.2" },
  option: { word: "option", outline: round(16), sign: "M6 11V7.5M6 7.5Q6 5 2.6 4.8V1.4M6 7.5Q6 5 9.4 4.8V1.4" },
  factor: { word: "factor", outline: folded, sign: "M1 3h10M1 9h10M4 1.2v3.6M8 7.2v3.6" },
  outcome: { word: "outcome", outline: round(40), sign: "M1.6 6.6 4.6 9.8 10.4 2.4" },
  risk: { word: "risk", outline: octagon, sign: "M6 1 11.3 10.8H.7ZM6 4.6v2.9M6 9.2v.1" },
  goal: { word: "goal", outline: round(4), sign: "M6 1a5 5 0 1 0 .01 0M6 4.2a1.8 1.8 0 1 0 .01 0", framed: true },
  action: { word: "action", outline: leaning, sign: "M3 1.6 10 6 3 10.4Z" },
};

/** What a kind that is not known looks like: a newer server may know more. */
export const kindOf = (node) => KINDS[node.kind] ?? { word: String(node.kind ?? "node"), outline: round(6), sign: "M6 3v6M3 6h6" };

/** A factor's size in words: `£49 → £59`. */
export function sizeOf(node) {
  const data = node.data;
  if (!data || typeof data.value !== "number") return "";
  if (data.extractionType === "inferred") return "";
  const one = (value) => {
    const number = value.toLocaleString("en", { maximumFractionDigits: 2 });
    const unit = data.unit ?? "";
    // `£`, and `£/year`.
    if (/^[£$€]/u.test(unit)) return `${unit[0]}${number}${unit.slice(1)}`;
    if (unit === "%") return `${number}%`;
    return unit ? `${number} ${unit}` : number;
  };
  if (data.range) return `${one(data.range.min)} – ${one(data.range.max)}`;
  return typeof data.baseline === "number" ? `${one(data.baseline)} → ${one(data.value)}` : one(data.value);
}

/** Whether an edge says anything of cause and effect: those from a decision to its options, and on, only lay out. */
export const isCausal = (edge) => edge.provenance_source !== "engine" && edge.effect_direction !== undefined;
export const isNegative = (edge) => edge.effect_direction === "negative";

/** `raises, strongly (+0.86)` */
export function effectOf(edge) {
  if (!isCausal(edge)) return "leads to";
  const mean = edge.strength_mean ?? 0;
  const size = Math.abs(mean) >= 0.7 ? "strongly" : Math.abs(mean) >= 0.4 ? "clearly" : "slightly";
  const figure = `${mean < 0 ? "−" : "+"}${Math.abs(mean).toFixed(2)}`;
  return `${isNegative(edge) ? "lowers" : "raises"} ${size} (${figure})`;
}
