// The JS client of this project: POST, headers, back-off, and a reload that it lives through by itself.

import { resumeUrl, streamUrl, watchUrl } from "./server.js";

/** Where the client keeps what it needs after a reload. */
const STORAGE_KEY = "draft-graph stream";

/** Whether there is a stream to come back to. */
export const hasStored = () => sessionStorage.getItem(STORAGE_KEY) !== null;
export const forget = () => sessionStorage.removeItem(STORAGE_KEY);

/** The client's module; `null` where it cannot be had, and then the page goes on with EventSource alone. */
export async function load() {
  try {
    return await import("/resumable.js");
  } catch {
    return null;
  }
}

export class ClientStream {
  #hands;
  #stream;

  /** @param ask as for `NativeStream`; with `back` it takes up what the client itself has stored */
  constructor(module, ask, hands) {
    this.#hands = hands;
    const { viewer } = ask;
    const resume = resumeUrl({ viewer });
    const common = { resumeUrl: resume, control: true, onState: (state, detail) => this.#state(state, detail) };
    const stored = {
      storage: module.storageOf(sessionStorage),
      storageKey: STORAGE_KEY,
      // The page has lost its drawing: everything again, and then on.
      from: "start",
    };
    if (ask.watch) {
      this.#stream = module.resumable(watchUrl({ share: ask.watch, viewer }), common);
    } else if (ask.back) {
      // Should what is stored have expired, this is refused, and not begun anew behind the user's back.
      this.#stream = module.resumable(resume, { ...common, ...stored });
    } else {
      const { brief, key, ...rest } = ask.start;
      this.#stream = module.resumable(streamUrl({ ...rest, viewer }), {
        ...common,
        ...stored,
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ brief }),
        // So that a start whose answer was lost can be sent again: the server joins it to the draft that it has begun.
        idempotencyKey: key,
      });
    }
    this.#run();
  }

  get token() {
    return this.#stream.token;
  }

  #state(state, detail) {
    // The end is told by the event that brings it.
    if (!["ended", "failed", "closed"].includes(state)) this.#hands.state(state, detail?.delay === undefined ? undefined : `the next try in ${(detail.delay / 1000).toFixed(1)} s`);
  }

  async #run() {
    try {
      for await (const event of this.#stream) {
        if (event.type === "event") this.#hands.event({ name: event.event, data: event.data, seq: event.seq });
        else if (event.type === "snapshot") {
          this.#hands.control({ phase: "snapshot", seq: event.seq, status: event.status });
          this.#hands.event({ name: event.event, data: event.data, seq: event.seq, isSnapshot: true });
        } else this.#hands.control({ ...event, phase: event.type });
      }
      this.#hands.done();
    } catch (error) {
      this.#hands.failed({ code: error.code ?? "failed", text: error.message, status: error.status, needsNewStart: error.needsNewStart === true });
    }
  }

  close() {
    this.#stream.close();
  }
}
