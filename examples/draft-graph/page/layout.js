// Where each node goes. The graph carries a position for each: its layer (y) and its place in it (x). Here they are fitted
// to the width that there is; where a layer is too wide for a phone, it is broken into rows.

const NODE_MIN = 128;
const NODE_MAX = 204;
const GAP = 22;
const LINE = 16;
const PAD = 11;
/** Between two layers, and what each edge that goes through there adds. */
const CHANNEL = 50;
const CHANNEL_EDGE = 2.4;
/** Between two rows of one layer. */
const BREAK = 46;

/**
 * @param nodes   `{id, label, position: {x, y}, …}`
 * @param edges   `{from, to}`
 * @param width   what there is, in pixels
 * @param wrap    `(text, width) => lines`
 * @returns `{boxes: Map(id → box), rows: [{top, bottom, boxes}], width, height}`
 */
export function layOut(nodes, edges, width, wrap) {
  const layers = layersOf(nodes);
  const widest = Math.max(1, ...layers.map((layer) => layer.length));
  const fitting = Math.max(1, Math.floor((width - 2 * 8 + GAP) / (NODE_MIN + GAP)));
  const columns = widest <= fitting ? Math.max(widest, Math.min(4, fitting)) : fitting;
  const gutter = widest <= fitting ? GAP : Math.max(GAP, 30);
  // Room beside the outermost nodes, for edges that go round them.
  const margin = widest <= fitting ? 8 : 18;
  const size = Math.min(NODE_MAX, Math.floor((width - 2 * margin - (columns - 1) * gutter) / columns));

  const rows = [];
  layers.forEach((layer, at) => {
    for (const part of chunks(layer, columns)) rows.push({ layer: at, nodes: part });
  });
  const place = widest <= fitting ? fit(nodes, layers, width, size, margin) : null;
  const boxes = new Map();
  for (const row of rows) {
    row.boxes = row.nodes.map((node, at) => {
      // What stands alone by its nature may be wider: it has the longest label.
      const isAlone = node.kind === "decision" || node.kind === "goal";
      const w = isAlone && row.nodes.length === 1 ? Math.min(size * 1.5, 236, width - 2 * margin) : size;
      const lines = wrap(node.label ?? node.id, w - 2 * PAD - (node.kind === "decision" ? 12 : 0));
      const n = row.nodes.length;
      const cx = place ? place(node) : width / 2 + (at - (n - 1) / 2) * (size + gutter);
      return { id: node.id, node, lines, cx, w, h: heightOf(node, lines) };
    });
  }
  let y = 6;
  rows.forEach((row, at) => {
    if (at > 0) y += gapBefore(rows, at, edges);
    row.top = y;
    row.bottom = y + Math.max(...row.boxes.map((box) => box.h));
    y = row.bottom;
    for (const box of row.boxes) {
      // Nodes of a row stand on one middle line.
      box.x = box.cx - box.w / 2;
      box.y = row.top + (row.bottom - row.top - box.h) / 2;
      box.row = at;
      boxes.set(box.id, box);
    }
  });
  return { boxes, rows, width, height: y + 6 };
}

function layersOf(nodes) {
  const layers = new Map();
  for (const node of nodes) {
    const y = node.position.y;
    if (!layers.has(y)) layers.set(y, []);
    layers.get(y).push(node);
  }
  const sorted = [...layers.entries()].sort((a, b) => a[0] - b[0]).map(([, layer]) => layer);
  for (const layer of sorted) layer.sort((a, b) => a.position.x - b.position.x);
  return sorted;
}

/** Rows of `most` at the longest, as even as may be. */
function chunks(layer, most) {
  const count = Math.ceil(layer.length / most);
  const each = Math.ceil(layer.length / count);
  return Array.from({ length: count }, (_, i) => layer.slice(i * each, (i + 1) * each));
}

/** From carried x to pixels: scaled, and centred on the first layer while there is room. */
function fit(nodes, layers, width, size, margin) {
  const xs = nodes.map((node) => node.position.x);
  const steps = layers.flatMap((layer) => layer.slice(1).map((node, i) => node.position.x - layer[i].position.x));
  const step = Math.min(...steps, 150);
  const first = layers[0].map((node) => node.position.x);
  const centre = (Math.min(...first) + Math.max(...first)) / 2;
  const reach = Math.max(1, ...xs.map((x) => Math.abs(x - centre)));
  const room = (width - size) / 2 - margin;
  const scale = Math.min((size + GAP * 1.6) / step, Math.max(room / reach, 0));
  return (node) => width / 2 + (node.position.x - centre) * scale;
}

function heightOf(node, lines) {
  return 2 * PAD + 14 + lines.length * LINE + (node.size ? LINE : 0);
}

function gapBefore(rows, at, edges) {
  if (rows[at].layer === rows[at - 1].layer) return BREAK;
  const rowOf = new Map(rows.flatMap((row, i) => row.nodes.map((node) => [node.id, i])));
  const through = edges.filter((edge) => rowOf.get(edge.from) < at && rowOf.get(edge.to) >= at).length;
  return CHANNEL + Math.min(12, through) * CHANNEL_EDGE;
}
