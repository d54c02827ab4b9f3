// One mark for each seq: how it came, or that it did not.

/** Most marks that are drawn; what comes after them is counted, and logged. */
const MOST = 600;
/** From so many on they stand side by side, without a space. */
const DENSE = 100;

export class Ribbon {
  #bar;
  #marks = [];

  constructor(bar) {
    this.#bar = bar;
  }

  clear() {
    this.#bar.replaceChildren();
    this.#marks = [];
  }

  /** How many marks there are going to be, as far as is known: they share the width. */
  expect(count) {
    const marks = Math.min(MOST, Math.max(count, this.#marks.length, 1));
    this.#bar.style.setProperty("--of", marks);
    this.#bar.classList.toggle("dense", marks > DENSE);
  }

  /** `how`: `live`, `replayed`, `lost` or `twice`. */
  mark(seq, how) {
    if (seq > MOST) return;
    while (this.#marks.length < seq) {
      const mark = document.createElement("i");
      this.#bar.append(mark);
      this.#marks.push(mark);
    }
    this.#marks[seq - 1].className = how;
  }

  /** The connection was lost behind this seq. */
  cut(seq) {
    const before = this.#marks[seq - 1];
    if (before && !before.nextElementSibling?.matches("b")) before.after(document.createElement("b"));
  }
}
