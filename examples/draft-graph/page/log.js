// The event log: one line an event, the newest at the bottom.

/** Most lines that are kept: a long stream should not make the page slow. */
const MOST = 400;

export class Log {
  #body;
  #frame;
  #facts;
  #started = performance.now();
  #left = 0;

  constructor({ body, frame, facts }) {
    this.#body = body;
    this.#frame = frame;
    this.#facts = facts;
  }

  clear() {
    this.#body.replaceChildren();
    this.#facts.textContent = "";
    this.#left = 0;
    this.#started = performance.now();
  }

  /**
   * @param phase  what kind of line it is: `event`, `replayed`, a phase of the protocol, or `page`
   * @param text   what it says
   * @param seq    where it has one
   */
  add(phase, text, seq) {
    // Whoever has scrolled up wants to read: only a log that is at its bottom stays there.
    const follows = this.#frame.scrollHeight - this.#frame.scrollTop - this.#frame.clientHeight < 40;
    const row = document.createElement("tr");
    row.className = phase;
    const time = ((performance.now() - this.#started) / 1000).toFixed(1);
    for (const [name, value] of [["time", time], ["seq", seq ?? ""], ["phase", phase], ["what", text]]) {
      const cell = document.createElement("td");
      cell.className = name;
      cell.textContent = value;
      row.append(cell);
    }
    this.#body.append(row);
    while (this.#body.childElementCount > MOST) {
      this.#body.firstElementChild.remove();
      this.#left += 1;
    }
    this.#facts.textContent = this.#left > 0 ? `the newest ${MOST} lines` : "";
    if (follows) this.#frame.scrollTop = this.#frame.scrollHeight;
  }
}
