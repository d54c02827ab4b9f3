// The graph in words: two tables for those who read rather than look.

import { effectOf, kindOf } from "./kinds.js";

function row(...cells) {
  const tr = document.createElement("tr");
  cells.forEach((cell, i) => {
    const td = document.createElement(i === 0 ? "th" : "td");
    if (i === 0) td.scope = "row";
    td.textContent = cell;
    tr.append(td);
  });
  return tr;
}

const WHY = { engine: "by construction", hypothesis: "an assumption", metric: "a figure", document: "a document" };

function why(edge) {
  const quote = edge.provenance?.quote;
  return quote ? `“${quote}”` : (WHY[edge.provenance_source] ?? "");
}

export class Words {
  #parts;
  #due = false;

  constructor(parts) {
    this.#parts = parts;
  }

  update(graph) {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#write(graph);
    });
  }

  #write(graph) {
    const { summary, tables, nodes, edges } = this.#parts;
    tables.hidden = graph.nodes.size === 0;
    if (tables.hidden) {
      summary.textContent = "Nothing is drawn yet.";
      nodes.replaceChildren();
      edges.replaceChildren();
      return;
    }
    const name = (id) => graph.nodes.get(id)?.label ?? id;
    // In the order in which they are drawn: from the top, and from the left.
    const placed = (a, b) => a.position.y - b.position.y || a.position.x - b.position.x;
    const sorted = [...graph.nodes.values()].sort(placed);
    const order = new Map(sorted.map((node, i) => [node.id, i]));
    nodes.replaceChildren(...sorted.map((node) => row(kindOf(node).word, node.label ?? node.id, node.size || "–")));
    edges.replaceChildren(
      ...[...graph.edges.values()].sort((a, b) => order.get(a.from) - order.get(b.from)).map((edge) => row(name(edge.from), effectOf(edge), name(edge.to), why(edge))),
    );
    const counts = new Map();
    for (const node of graph.nodes.values()) counts.set(kindOf(node).word, (counts.get(kindOf(node).word) ?? 0) + 1);
    const many = (n, word) => `${n} ${n === 1 ? word : word.endsWith("s") ? word : `${word}s`}`;
    const kinds = [...counts].map(([word, n]) => many(n, word)).join(", ");
    summary.textContent = `${many(graph.nodes.size, "node")} and ${many(graph.edges.size, "edge")}: ${kinds}.`;
  }
}
