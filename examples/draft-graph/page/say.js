// What has just happened, in a short sentence: to see at once, and in the one live region, which is not told more than can
// be listened to. What is old by the time it is its turn is left out there.

/** Between two announcements: as long as a screen reader takes for one. */
const PAUSE = 2500;

export class Say {
  #shown;
  #region;
  #next = "";
  #last = "";
  #timer = 0;

  constructor(shown, region) {
    this.#shown = shown;
    this.#region = region;
  }

  say(text) {
    this.#shown.textContent = text;
    if (text === this.#next || (text === this.#last && this.#next === "")) return;
    this.#next = text;
    if (this.#timer === 0) this.#speak();
  }

  #speak() {
    this.#timer = 0;
    if (this.#next === "") return;
    this.#region.textContent = this.#last = this.#next;
    this.#next = "";
    this.#timer = setTimeout(() => this.#speak(), PAUSE);
  }
}
