// The graph as it is known so far, and its drawing.

import { isCausal, isNegative, kindOf, sizeOf } from "./kinds.js";
import { layOut } from "./layout.js";
import { route } from "./route.js";
import { wrapper } from "./wrap.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. */
export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export class Graph {
  #canvas;
  #svg;
  #edgeLayer = draw("g");
  // Above all lines, so that none hides where another one ends, and what it does there.
  #headLayer = draw("g");
  #nodeLayer = draw("g");
  #drawnNodes = new Map();
  #drawnEdges = new Map();
  #due = false;
  #width = 0;

  nodes = new Map();
  edges = new Map();

  constructor(canvas) {
    this.#canvas = canvas;
    this.#svg = draw("svg", { role: "img", "aria-labelledby": "graph-title", "aria-describedby": "words-summary" });
    this.#svg.append(this.#edgeLayer, this.#headLayer, this.#nodeLayer);
    this.#svg.addEventListener("pointerover", (event) => this.#light(event.target.closest?.("[data-id]")?.dataset.id));
    this.#svg.addEventListener("pointerleave", () => this.#light(undefined));
    new ResizeObserver(() => {
      const width = Math.floor(canvas.clientWidth);
      if (width !== this.#width) this.#redrawSoon();
    }).observe(canvas);
  }

  clear() {
    this.nodes.clear();
    this.edges.clear();
    this.#redrawSoon();
  }

  addNode(node) {
    this.nodes.set(node.id, { ...node, size: sizeOf(node), position: node.position ?? { x: 0, y: 0 } });
    this.#redrawSoon();
  }

  addEdge(edge) {
    this.edges.set(edge.id, edge);
    this.#redrawSoon();
  }

  /** The whole, as the last event has it. Stands in for whatever was known before. */
  setWhole(whole) {
    const positions = whole.meta?.suggested_positions ?? {};
    this.nodes.clear();
    this.edges.clear();
    for (const node of whole.nodes) this.addNode({ ...node, position: positions[node.id] });
    for (const edge of whole.edges) this.addEdge(edge);
  }

  /** Once a frame at most: a replay brings many events at once. */
  #redrawSoon() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#redraw();
    });
  }

  #redraw() {
    if (this.nodes.size === 0) {
      this.#drawnNodes.clear();
      this.#drawnEdges.clear();
      this.#edgeLayer.replaceChildren();
      this.#headLayer.replaceChildren();
      this.#nodeLayer.replaceChildren();
      this.#svg.remove();
      return;
    }
    if (!this.#svg.isConnected) this.#canvas.append(this.#svg);
    this.#width = Math.floor(this.#canvas.clientWidth);
    const edges = [...this.edges.values()];
    const wrap = wrapper(getComputedStyle(this.#canvas).font);
    const layout = layOut([...this.nodes.values()], edges, this.#width, wrap);
    this.#svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
    this.#svg.setAttribute("width", layout.width);
    this.#svg.setAttribute("height", layout.height);
    this.#drawEdges(route(layout, edges));
    this.#drawNodes(layout.boxes);
  }

  #drawEdges(routes) {
    for (const [id, groups] of this.#drawnEdges) {
      if (!routes.has(id)) {
        groups.forEach((group) => group.remove());
        this.#drawnEdges.delete(id);
      }
    }
    for (const [id, { path, end, badge }] of routes) {
      const edge = this.edges.get(id);
      if (!this.#drawnEdges.has(id)) {
        const group = () => draw("g", { class: `edge ${edgeClass(edge)}`, "data-from": edge.from, "data-to": edge.to });
        this.#drawnEdges.set(id, [group(), group()]);
        this.#edgeLayer.append(this.#drawnEdges.get(id)[0]);
        this.#headLayer.append(this.#drawnEdges.get(id)[1]);
      }
      const [lines, heads] = this.#drawnEdges.get(id);
      const line = draw("path", { class: "line", d: path });
      line.style.strokeWidth = isCausal(edge) ? `${1.2 + 1.9 * Math.abs(edge.strength_mean ?? 0.5)}px` : "";
      lines.replaceChildren(draw("path", { class: "casing", d: path }), line);
      heads.replaceChildren(head(edge, end), ...mark(edge, badge));
    }
  }

  #drawNodes(boxes) {
    for (const [id, group] of this.#drawnNodes) {
      if (!boxes.has(id)) {
        group.remove();
        this.#drawnNodes.delete(id);
      }
    }
    for (const [id, box] of boxes) {
      let group = this.#drawnNodes.get(id);
      if (!group) {
        group = draw("g", { class: `node ${box.node.kind}`, "data-id": id });
        this.#drawnNodes.set(id, group);
        this.#nodeLayer.append(group);
      }
      group.style.transform = `translate(${box.x}px, ${box.y}px)`;
      const looks = `${box.w} ${box.h} ${box.lines.join("\n")}`;
      if (group.dataset.looks === looks) continue;
      group.dataset.looks = looks;
      group.replaceChildren(face(box));
    }
  }

  /** Lets a node and its edges stand out. */
  #light(id) {
    this.#svg.classList.toggle("lit", id !== undefined);
    for (const [key, group] of this.#drawnNodes) group.classList.toggle("on", key === id);
    for (const group of [...this.#drawnEdges.values()].flat()) {
      group.classList.toggle("on", group.dataset.from === id || group.dataset.to === id);
    }
  }
}

const edgeClass = (edge) => (isCausal(edge) ? (isNegative(edge) ? "lowers" : "raises") : "lays-out");

/** An arrow for what raises, a bar for what lowers. */
function head(edge, { x, y }) {
  if (isCausal(edge) && isNegative(edge)) return draw("path", { class: "head bar", d: `M${x - 6} ${y - 4}H${x + 6}M${x} ${y - 9}V${y - 4}` });
  return draw("path", { class: "head", d: `M${x} ${y - 1}l-4.6 -9h9.2Z` });
}

function mark(edge, { x, y }) {
  if (!isCausal(edge)) return [];
  const cross = isNegative(edge) ? `M${x - 3} ${y}h6` : `M${x - 3} ${y}h6M${x} ${y - 3}v6`;
  return [draw("circle", { class: "badge", cx: x, cy: y, r: 6.5 }), draw("path", { class: "sign", d: cross })];
}

/** What is inside of a box, and its outline. */
function face({ node, lines, w, h }) {
  const kind = kindOf(node);
  const parts = [draw("title", {}, `${kind.word}: ${node.label ?? node.id}`), draw("path", { class: "shape", d: kind.outline(w, h) })];
  if (kind.framed) {
    parts.push(draw("path", { class: "frame", d: kind.outline(w - 7, h - 7), transform: "translate(3.5 3.5)" }));
  }
  // The kind's sign and word, centred together; its width is told roughly, as it is never long.
  const wide = kind.word.length * 7 + 18;
  const left = (w - wide) / 2;
  parts.push(draw("path", { class: "icon", d: kind.sign, transform: `translate(${left} 9)` }));
  parts.push(draw("text", { class: "kind", x: left + 18, y: 19 }, kind.word));
  const text = draw("text", { class: "label", "text-anchor": "middle" });
  lines.forEach((line, i) => text.append(draw("tspan", { x: w / 2, y: 38 + i * 16 }, line)));
  parts.push(text);
  if (node.size) parts.push(draw("text", { class: "size", x: w / 2, y: 38 + lines.length * 16, "text-anchor": "middle" }, node.size));
  return draw("g", { class: "face" }, ...parts);
}

/** What the outlines and lines mean, as a list. */
export function legend(kinds) {
  const item = (word, ...drawing) => {
    const li = document.createElement("li");
    li.append(...drawing, word);
    return li;
  };
  const list = document.createElement("ul");
  for (const [name, kind] of Object.entries(kinds)) {
    const svg = draw("svg", { class: `node ${name}`, viewBox: "-1 -1 34 22", width: 34, height: 22, "aria-hidden": "true" });
    svg.append(draw("path", { class: "shape", d: small(kind) }), draw("path", { class: "icon", d: kind.sign, transform: "translate(10 4)" }));
    list.append(item(kind.word, svg));
  }
  for (const [word, edge] of [
    ["raises", { effect_direction: "positive", strength_mean: 0.6 }],
    ["lowers", { effect_direction: "negative", strength_mean: -0.6 }],
  ]) {
    const svg = draw("svg", { class: `edge ${edgeClass(edge)}`, viewBox: "3 2 36 20", width: 36, height: 20, "aria-hidden": "true" });
    const group = draw("g", { transform: "rotate(-90 20 12) translate(8 -8)" });
    group.append(draw("path", { class: "line", d: "M12 2V30" }), head(edge, { x: 12, y: 39 }));
    svg.append(group, ...mark(edge, { x: 14, y: 12 }));
    list.append(item(word, svg));
  }
  return list;
}

const small = (kind) => kind.outline(32, 20, 6);
