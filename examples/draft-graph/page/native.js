// The browser's own EventSource. It reconnects by itself and sends the last id as `Last-Event-ID`; the server does the rest.
//
// What it cannot do: send a POST or a header, so the brief is part of the address; say why a request was refused; cancel;
// live through a reload. The page helps with the last three, by a token in the query or in a request of its own.

import { statusOf, streamUrl, watchUrl } from "./server.js";

/** How long the page waits before it opens an EventSource that the browser has given up on, and at most. */
const AGAIN = 1000;
const AGAIN_MOST = 15000;

export class NativeStream {
  #hands;
  #source = null;
  #url;
  #viewer;
  #seq = 0;
  #over = false;
  #tries = 0;
  #timer = 0;
  /** The newest token; of what comes before the end, so that all can be had again after a reload. */
  token;

  /** @param ask `{start: {brief, pace_ms, share}}`, `{back: token}` or `{watch: share}`, with `viewer` */
  constructor(ask, hands) {
    this.#hands = hands;
    this.#viewer = ask.viewer;
    this.token = ask.back;
    // Everything again: after a reload the page has lost its drawing.
    if (ask.back) this.#url = this.#backUrl(0);
    else if (ask.watch) this.#url = watchUrl({ share: ask.watch, viewer: ask.viewer });
    else {
      const { key, ...start } = ask.start;
      this.#url = streamUrl({ ...start, viewer: ask.viewer });
    }
    this.#open();
  }

  #backUrl(from) {
    return streamUrl({ resume: this.token, from, viewer: this.#viewer });
  }

  #open() {
    this.#hands.state("connecting");
    const source = new EventSource(this.#url);
    this.#source = source;
    source.onopen = () => {
      this.#tries = 0;
      this.#hands.state("open");
    };
    source.onerror = () => this.#lost(source);
    // An EventSource drops events whose names nobody has asked for.
    for (const name of ["stage", "complete", "state"]) source.addEventListener(name, (event) => this.#event(name, event));
    source.addEventListener("resume", (event) => this.#control(event));
  }

  #event(name, { data, lastEventId }) {
    this.token = lastEventId || this.token;
    // A snapshot has the seq that its announcement gave.
    const isSnapshot = name !== "stage";
    if (!isSnapshot) this.#seq += 1;
    this.#hands.event({ name, data, seq: this.#seq, isSnapshot });
  }

  #control({ data, lastEventId }) {
    const told = JSON.parse(data);
    if (told.phase !== "end") this.token = lastEventId || told.token || this.token;
    if (told.phase === "open") this.#seq = 0;
    if (told.phase === "replay") this.#seq = told.from;
    if (told.phase === "gap") this.#seq = told.to;
    if (told.phase === "snapshot") this.#seq = told.seq;
    if (told.phase === "end") {
      // A source that is not closed would come back, to be told by a 204 that there is no more.
      this.close();
      this.#over = true;
    }
    this.#hands.control(told);
  }

  #lost(source) {
    if (this.#over || source !== this.#source) return;
    if (source.readyState === EventSource.CONNECTING) {
      this.#hands.state("waiting", "the browser tries again by itself");
      return;
    }
    this.#explain();
  }

  /** The browser has given up, and does not say why. The page asks. */
  async #explain() {
    const source = this.#source;
    if (!this.token) {
      this.#over = true;
      // A 204 for one: there is no such draft to follow.
      if (this.#url.startsWith(watchUrl({}))) this.#hands.failed({ code: "gone", needsNewStart: true });
      else this.#hands.failed({ code: "refused", text: "The server refused the request. An EventSource cannot say why; the JS client can." });
      return;
    }
    this.#hands.state("waiting", "asking what has become of the stream");
    const told = await statusOf(this.token);
    if (source !== this.#source || this.#over) return;
    const code = { 401: "unauthorized", 410: "gone", 426: "gone" }[told?.status];
    if (code) {
      this.#over = true;
      this.#hands.failed({ code, status: told.status, detail: told.code, needsNewStart: true });
      return;
    }
    // Nothing answers, or it is busy, or it knows the stream well: come back, later each time.
    const delay = Math.random() * Math.min(AGAIN_MOST, AGAIN * 2 ** this.#tries);
    this.#tries += 1;
    this.#hands.state("waiting", "the page tries again");
    this.#timer = setTimeout(() => {
      this.#url = this.#backUrl();
      this.#open();
    }, delay);
  }

  /** Leaves. The draft goes on without this viewer. */
  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
