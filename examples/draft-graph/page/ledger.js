// What has arrived, counted by the page itself, whatever the client in between believes.
//
// Twice: by the seq of each event, and by the numbers that the draft itself gives to its steps (`step` of `steps`), which
// know nothing of seqs. Where the two disagree, the worse counts.

export class Ledger {
  #seqs = new Set();
  #steps = new Set();
  #repeatedSeqs = 0;
  #repeatedSteps = 0;
  /** The last seq that is known to exist, seen or not. */
  #known = 0;
  /** The last step seen, and the seq that it came with. */
  #step = 0;
  #announced = 0;

  reconnects = 0;
  last = 0;

  /** An event. `step` where it is one of the draft's own. */
  event(seq, step) {
    if (this.#seqs.has(seq)) this.#repeatedSeqs += 1;
    this.#seqs.add(seq);
    this.last = Math.max(this.last, seq);
    this.#known = Math.max(this.#known, seq);
    if (step === undefined) return;
    if (this.#steps.has(step)) this.#repeatedSteps += 1;
    this.#steps.add(step);
    this.#step = Math.max(this.#step, step);
  }

  /** Events that are never going to come; their steps are missing as well, and that is no news then. */
  gap(from, to) {
    this.#announced += to - from + 1;
    this.#known = Math.max(this.#known, to);
  }

  /** The end says how many there were. */
  end(seq) {
    this.#known = Math.max(this.#known, seq);
  }

  has(seq) {
    return this.#seqs.has(seq);
  }

  get received() {
    return this.#seqs.size;
  }

  get lost() {
    const bySeq = this.#known - this.#seqs.size;
    const byStep = this.#step - this.#steps.size;
    return Math.max(bySeq, byStep);
  }

  get repeated() {
    return Math.max(this.#repeatedSeqs, this.#repeatedSteps);
  }

  /** Of those that are lost, how many the server has said are. */
  get announced() {
    return this.#announced;
  }

  /** The last seq that is known of. */
  get known() {
    return this.#known;
  }
}
