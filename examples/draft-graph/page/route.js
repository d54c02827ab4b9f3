// How each edge runs: out at the bottom of its cause, through the gaps between the boxes of every row in its way, in at the
// top of its effect. Each has a port and a lane of its own, so that no two lie on one another.

const PORT = 17;
const LANE = 9;
const HEAD = 9;

/**
 * @param layout  what `layOut` gave
 * @param edges   `{id, from, to}`, both ends laid out
 * @returns Map(edge id → `{path, end: {x, y}, badge: {x, y}}`)
 */
export function route(layout, edges) {
  const ways = edges.map((edge) => way(layout, edge)).filter(Boolean);
  spreadLanes(layout, ways);
  spreadPorts(ways, "from", (way) => way.lanes[0]?.x ?? way.to.box.cx);
  spreadPorts(ways, "to", (way) => way.lanes.at(-1)?.x ?? way.from.x);
  return new Map(ways.map((way) => [way.edge.id, drawn(layout, way)]));
}

function way(layout, edge) {
  const from = layout.boxes.get(edge.from);
  const to = layout.boxes.get(edge.to);
  if (!from || !to) return null;
  const lanes = [];
  for (let row = from.row + 1; row < to.row; row += 1) lanes.push({ row, gap: 0, x: 0 });
  return { edge, from: { box: from, x: from.cx }, to: { box: to, x: to.cx }, lanes };
}

/** The gaps of a row: left of the first box, between each two, right of the last. */
function gapsOf(row, width) {
  const boxes = [...row.boxes].sort((a, b) => a.x - b.x);
  const edges = [0, ...boxes.flatMap((box) => [box.x, box.x + box.w]), width];
  return Array.from({ length: boxes.length + 1 }, (_, i) => ({ left: edges[2 * i] + 5, right: edges[2 * i + 1] - 5, ways: [] }));
}

function spreadLanes(layout, ways) {
  const gaps = layout.rows.map((row) => gapsOf(row, layout.width));
  // The longest first: they have the least choice.
  const long = ways.filter((way) => way.lanes.length > 0).sort((a, b) => b.lanes.length - a.lanes.length);
  for (const way of long) {
    let x = way.from.box.cx;
    way.lanes.forEach((lane, i) => {
      const wanted = x + (way.to.box.cx - x) / (way.lanes.length - i + 1);
      const cost = (gap) => {
        const there = Math.min(Math.max(wanted, gap.left), gap.right);
        const room = Math.max(0, gap.right - gap.left);
        const crowd = Math.max(0, (gap.ways.length + 1) * LANE - room);
        return Math.abs(there - x) + 0.6 * Math.abs(there - way.to.box.cx) + crowd * 4 + (room < 4 ? 1e4 : 0);
      };
      const gap = gaps[lane.row].reduce((best, gap) => (cost(gap) < cost(best) ? gap : best));
      lane.gap = gap;
      lane.x = x = Math.min(Math.max(wanted, gap.left), gap.right);
      gap.ways.push({ way, lane });
    });
  }
  for (const gap of gaps.flat()) spread(gap);
}

/** Lanes side by side, in the order in which their edges come and go, as near as may be to where they want to be. */
function spread(gap) {
  const lanes = gap.ways;
  if (lanes.length === 0) return;
  const pull = ({ way }) => way.from.box.cx + way.to.box.cx;
  lanes.sort((a, b) => a.lane.x - b.lane.x || pull(a) - pull(b));
  const room = Math.max(0, gap.right - gap.left);
  const step = Math.min(LANE, lanes.length > 1 ? room / (lanes.length - 1) : 0);
  const wanted = lanes.reduce((sum, { lane }) => sum + lane.x, 0) / lanes.length;
  const half = (step * (lanes.length - 1)) / 2;
  const centre = Math.min(Math.max(wanted, gap.left + half), gap.right - half);
  lanes.forEach(({ lane }, i) => {
    lane.x = centre - half + i * step;
  });
}

/** Ports of one side of each box, in the order of where their edges go. */
function spreadPorts(ways, side, towards) {
  const boxes = new Map();
  for (const way of ways) {
    const id = way[side].box.id;
    if (!boxes.has(id)) boxes.set(id, []);
    boxes.get(id).push(way);
  }
  for (const group of boxes.values()) {
    const { box } = group[0][side];
    group.sort((a, b) => towards(a) - towards(b));
    const step = Math.min(PORT, (box.w - 40) / Math.max(1, group.length - 1));
    group.forEach((way, i) => {
      way[side].x = box.cx + (i - (group.length - 1) / 2) * step;
    });
  }
}

const bend = (x0, y0, x1, y1) => {
  const pull = Math.max(14, (y1 - y0) * 0.5);
  return `C${f(x0)} ${f(y0 + pull)} ${f(x1)} ${f(y1 - pull)} ${f(x1)} ${f(y1)}`;
};
const f = (number) => Math.round(number * 10) / 10;

function drawn(layout, way) {
  let x = way.from.x;
  let y = way.from.box.y + way.from.box.h;
  let path = `M${f(x)} ${f(y)}`;
  for (const lane of way.lanes) {
    const row = layout.rows[lane.row];
    path += `${bend(x, y, lane.x, row.top - 3)}V${f(row.bottom + 3)}`;
    [x, y] = [lane.x, row.bottom + 3];
  }
  const end = { x: way.to.x, y: way.to.box.y };
  path += `${bend(x, y, end.x, end.y - HEAD - 5)}V${f(end.y - HEAD + 1)}`;
  return { path, end, badge: { x: end.x, y: end.y - HEAD - 9 } };
}
