// What this page makes of a stream: the drawing, the log, the counters, and what is said of the connection.

import { Ledger } from "./ledger.js";

const STATES = {
  idle: "idle",
  connecting: "connecting",
  open: "connected",
  waiting: "reconnecting",
  offline: "offline",
  ended: "ended",
  failed: "failed",
  closed: "closed",
};

const ENDS = {
  complete: "complete",
  error: "ended with an error",
  interrupted: "interrupted: the server that drew it has stopped",
  cancelled: "cancelled",
};

export class Viewer {
  #parts;
  #ledger = new Ledger();
  /** Up to this seq, what comes was kept for us. */
  #replayTo = 0;
  #connections = 0;
  #quarter = 0;
  #progress = 0;
  #state = "idle";
  #dark = 0;
  #firstAt = 0;
  #lostAt = 0;
  /** Called when the stream is over, with its status, and with the failure where it failed. */
  onOver = () => {};
  /** Called whenever there is a newer token. */
  onToken = () => {};

  constructor(parts) {
    this.#parts = parts;
    addEventListener("offline", () => this.#showState());
    addEventListener("online", () => this.#showState());
  }

  /** Begins with nothing. */
  clear() {
    const { graph, log, ribbon, words, progress, doing, facts } = this.#parts;
    this.#ledger = new Ledger();
    this.#replayTo = this.#connections = this.#quarter = this.#progress = this.#dark = this.#firstAt = this.#lostAt = 0;
    // What ran before was left, and not lost.
    this.#state = "idle";
    graph.clear();
    log.clear();
    ribbon.clear();
    words.update(graph);
    progress.value = 0;
    doing.textContent = facts.textContent = "";
    this.#count();
  }

  /** What a stream calls. `isCurrent` says whether it still is the one that is looked at. */
  hands(isCurrent) {
    const guarded = (method) => (...told) => {
      if (isCurrent()) method.apply(this, told);
    };
    return {
      state: guarded(this.state),
      control: guarded(this.#control),
      event: guarded(this.#event),
      failed: guarded(this.#failed),
      done: guarded(this.#done),
    };
  }

  get ledger() {
    return this.#ledger;
  }

  /** A line of the page's own in the log. */
  note(text) {
    this.#parts.log.add("page", text);
  }

  /** This viewer has asked to be offline for so long. */
  goDark(milliseconds) {
    this.#dark = performance.now() + milliseconds;
    const tick = () => {
      this.#showState();
      if (performance.now() < this.#dark) setTimeout(tick, 250);
    };
    tick();
  }

  state(state, detail) {
    const before = this.#state;
    this.#state = state;
    const wasThere = before === "open";
    if (wasThere && (state === "waiting" || state === "connecting" || state === "offline")) {
      this.#lostAt = performance.now();
      this.#parts.ribbon.cut(this.#ledger.last);
      this.#parts.log.add("lost", `The connection is gone${this.#ledger.last ? ` behind event ${this.#ledger.last}` : ""}`);
      this.#parts.say("The connection is lost. Trying again.");
    }
    if (state === "open" && before !== "open") this.#connections += 1;
    this.#showState(detail);
  }

  #showState(detail) {
    const isDark = performance.now() < this.#dark;
    const isOffline = (isDark || !navigator.onLine) && ["open", "waiting", "connecting", "offline"].includes(this.#state);
    const state = isOffline && this.#state !== "open" ? "offline" : this.#state;
    const { pill, pillText } = this.#parts;
    pill.dataset.state = state;
    const left = isDark && state === "offline" ? ` for ${Math.ceil((this.#dark - performance.now()) / 1000)} s` : "";
    pillText.textContent = `${STATES[state] ?? state}${left}`;
    pill.title = detail ?? "";
  }

  #control(told) {
    const { log, ribbon, say } = this.#parts;
    const { phase } = told;
    if (phase === "open") {
      this.#firstAt = performance.now();
      log.add("open", "A new stream, recorded from its first byte");
      say("The draft has begun.");
    } else if (phase === "replay") {
      this.#replayTo = told.last;
      const kept = Math.max(0, told.last - told.from);
      if (this.#firstAt) {
        this.#ledger.reconnects += 1;
        const after = this.#lostAt ? ` after ${((performance.now() - this.#lostAt) / 1000).toFixed(1)} s` : "";
        say(`Back${after}. ${kept} ${kept === 1 ? "event was" : "events were"} kept for us.`);
      }
      this.#firstAt ||= performance.now();
      log.add("replay", kept ? `Back behind event ${told.from}: ${told.from + 1} to ${told.last} were kept` : `Back behind event ${told.from}: nothing was missed`);
    } else if (phase === "live") {
      log.add("live", `Caught up at event ${told.seq}, now live`);
    } else if (phase === "gap") {
      this.#ledger.gap(told.from, told.to);
      for (let seq = told.from; seq <= told.to; seq += 1) if (!this.#ledger.has(seq)) ribbon.mark(seq, "lost");
      log.add("gap", `Events ${told.from} to ${told.to} are not to be had (${told.reason})`);
      say(`${told.to - told.from + 1} events are lost.`);
    } else if (phase === "snapshot") {
      log.add("snapshot", "The whole follows in one piece");
    } else if (phase === "wait") {
      log.add("wait", "The server asks to come back in a moment");
    } else if (phase === "end") {
      this.#end(told);
    }
    this.onToken();
    this.#count();
  }

  #event({ name, data, seq, isSnapshot }) {
    const { ribbon, log } = this.#parts;
    const told = this.#read(name, data);
    const replayed = seq <= this.#replayTo;
    if (!isSnapshot) {
      ribbon.mark(seq, this.#ledger.has(seq) ? "twice" : replayed ? "replayed" : "live");
      this.#ledger.event(seq, told.step);
    }
    log.add(isSnapshot ? "snapshot" : replayed ? "replayed" : "event", told.text, seq);
    this.onToken();
    this.#count();
  }

  /** Draws what an event brings; gives back what it says, and its number as the draft counts. */
  #read(name, data) {
    const { graph, words, doing, ribbon } = this.#parts;
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return { text: "An event that this page cannot read" };
    }
    const payload = name === "stage" ? event.payload : event;
    if (!payload) return { text: "The draft has begun" };
    if (payload.schema === "error.v1") return this.#error(payload);
    if (payload.graph) {
      const isPlaceholder = name === "stage" && event.stage === "DRAFTING";
      if (isPlaceholder) return { text: "A placeholder, for clients that show nothing else yet" };
      graph.setWhole(payload.graph);
      words.update(graph);
      this.#advance(1);
      return { text: `The whole graph, ${Math.round(payload.confidence * 100)} % sure` };
    }
    if (payload.node) graph.addNode(payload.node);
    if (payload.edge) graph.addEdge(payload.edge);
    words.update(graph);
    doing.textContent = payload.status ?? "";
    this.#advance(payload.progress);
    // Beside its steps a draft has a first event and a last one.
    if (payload.steps) ribbon.expect(payload.steps + 2);
    return { text: payload.status ?? "A step", step: payload.step };
  }

  #error(payload) {
    const fields = Object.values(payload.details?.fieldErrors ?? {}).flat();
    this.#parts.trouble(`The draft has failed: ${[payload.message, ...fields].join(". ")}.`);
    return { text: `An error: ${payload.message}` };
  }

  #advance(progress) {
    if (typeof progress !== "number" || progress < this.#progress) return;
    this.#progress = progress;
    this.#parts.progress.value = progress;
    const quarter = Math.floor(progress * 4);
    if (quarter > this.#quarter && quarter < 4) this.#parts.say(`${quarter * 25} percent drawn.`);
    this.#quarter = Math.max(quarter, this.#quarter);
  }

  #end({ status, seq }) {
    const { log, say, doing, ribbon } = this.#parts;
    this.#ledger.end(seq);
    ribbon.expect(seq);
    this.#state = "ended";
    this.#showState();
    const { received, lost, repeated, reconnects } = this.#ledger;
    log.add("end", `The stream is over: ${ENDS[status] ?? status}`);
    doing.textContent = status === "complete" ? "Done." : `The draft was ${ENDS[status] ?? status}.`;
    const times = reconnects === 1 ? "reconnect" : "reconnects";
    say(`The draft is ${ENDS[status] ?? status}. ${received} events received, ${lost} lost, ${repeated} repeated, ${reconnects} ${times}.`);
    this.#count();
    this.onOver({ status });
  }

  #failed(failure) {
    this.#state = "failed";
    this.#showState();
    const why = [failure.code, failure.status, failure.detail].filter(Boolean).join(", ");
    this.#parts.log.add("failed", `The stream cannot be had any more: ${why}`);
    this.#parts.say("The stream cannot be had any more.");
    this.onOver({ failure });
  }

  /** The client has come to its end without an `end`: there was nothing. */
  #done() {
    if (this.#state !== "ended") this.#failed({ code: "gone", needsNewStart: true });
  }

  #count() {
    const { counters, facts } = this.#parts;
    const { received, lost, repeated, reconnects, known } = this.#ledger;
    const show = (name, value) => {
      const cell = counters[name];
      const text = String(value);
      if (cell.textContent !== text) cell.textContent = text;
      cell.parentElement.classList.toggle("bad", value > 0 && (name === "lost" || name === "repeated"));
    };
    show("received", received);
    show("lost", lost);
    show("repeated", repeated);
    show("reconnects", reconnects);
    if (received === 0) return;
    const percent = `${Math.round(this.#progress * 100)} %`;
    const left = this.#replayTo > this.#ledger.last ? `, catching up to ${this.#replayTo}` : "";
    const of = this.#state === "ended" ? ` of ${known}` : "";
    facts.textContent = `${percent} drawn · event ${this.#ledger.last}${of}${left}`;
  }
}
