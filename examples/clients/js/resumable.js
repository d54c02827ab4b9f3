// A client for event streams that go on where they were: over fetch, with any method, in browsers, workers, Node and Deno.
//
//   for await (const event of resumable("/draft", { method: "POST", body })) …
//
// In this file, top down: the stream, its face as an EventSource, its errors; then what they are made of: settings,
// a connection, the meaning of answers, the parser, the cursor, the back-off, the queue, storage, the page around it.

/** A stream of events. Nothing is sent before the first event is asked for. */
export function resumable(url, options = {}) {
  return new ResumableStream(url, options);
}

class ResumableStream {
  #settings;
  #cursor = new Cursor();
  #pace;
  #queue;
  #alarm = new Alarm();
  #page = new Page();
  #state = "idle";
  #stats = { received: 0, duplicates: 0, reconnects: 0, missed: 0 };
  #iterator;
  #connection = null;
  #key = null;
  #recalled = null;
  #started = false;
  #over = false;
  #bodySpent = false;
  #strays = 0;
  #snapshot = null;
  #onAbort = () =>
    this.#stop(
      "closed",
      new ResumableError("aborted", "the signal was aborted", { cause: this.#settings.signal.reason }),
    );

  constructor(url, options) {
    this.#settings = settingsOf(url, options);
    this.#pace = new Pace(this.#settings.retry);
    this.#queue = new Queue(this.#settings.maxBuffered, this.#settings.maxEventBytes);
    this.#iterator = this.#events();
  }

  /** "idle", "connecting", "open", "waiting", "offline", "ended", "failed" or "closed". */
  get state() {
    return this.#state;
  }

  /** The newest token, or null. Whoever has it can read the stream. */
  get token() {
    return this.#cursor.token;
  }

  /** The seq of the last event that has arrived. */
  get seq() {
    return this.#cursor.seq;
  }

  get requestId() {
    return this.#cursor.requestId;
  }

  get stats() {
    return { ...this.#stats };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    return this.#iterator.next();
  }

  /** Called by `break` in a `for await`. */
  return(value) {
    this.close();
    return this.#iterator.return(value);
  }

  /** Cuts the current connection. The stream comes back by itself. */
  disconnect() {
    if (this.#state === "open") this.#connection?.cut("disconnect");
  }

  /** Leaves. The stream on the server runs on, and what is stored leads back to it. */
  close() {
    this.#stop("closed", null, true);
  }

  /** Stops the stream on the server: "ended", or "asked" where its node has not answered yet. */
  async cancel() {
    if (this.#state === "ended") return "ended";
    if (!this.#cursor.token && !this.#started) await this.#recall();
    const { token } = this.#cursor;
    if (!token) throw new ResumableError("not_resumable", "there is nothing to cancel: no token has come yet");
    const answer = await this.#askToCancel(token);
    if (answer === "ended" && this.#over) await this.#settings.memory.forget();
    return answer;
  }

  // ---- what the consumer takes

  async *#events() {
    const { memory } = this.#settings;
    this.#start();
    try {
      for (;;) {
        const item = await this.#queue.take();
        if (!item) return;
        if (item.forget) await memory.forget();
        if (item.message) yield item.message;
        // The consumer has asked for the next one: this one has been seen.
        if (item.memo) await memory.keep(item.memo);
      }
    } catch (error) {
      if (error.needsNewStart) await memory.forget();
      throw error;
    } finally {
      this.close();
    }
  }

  #start() {
    this.#started = true;
    if (this.#over) return;
    const { signal } = this.#settings;
    if (signal?.aborted) return this.#onAbort();
    signal?.addEventListener("abort", this.#onAbort);
    this.#page.listen((tellsOfLife) => {
      if (tellsOfLife) this.#connection?.check();
      this.#alarm.ring();
    });
    this.#run().then(
      () => this.#stop("ended"),
      (error) => this.#stop("failed", error),
    );
  }

  #stop(state, error = null, drop = state === "closed") {
    if (this.#over) return;
    this.#over = true;
    this.#connection?.cut("closed");
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    this.#page.leave();
    this.#alarm.ring();
    this.#queue.close(error, drop);
    this.#enter(state, error ? { error } : {});
  }

  #enter(state, detail = {}) {
    if (this.#state === state) return;
    this.#state = state;
    try {
      this.#settings.onState?.(state, detail);
    } catch (error) {
      // The observer's own fault: it is reported as one, and stops nothing here.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  // ---- connections, one after the other

  async #run() {
    await this.#recall();
    await this.#pause(0, 0, {});
    while (!this.#over) {
      this.#pace.tries += 1;
      let loss;
      try {
        loss = await this.#attempt();
        if (loss === OVER || this.#over) break;
        this.#refuseToReturn(loss);
      } catch (error) {
        if (!(error.needsNewStart && this.#settings.restart && this.#cursor.token)) throw error;
        this.#startAnew();
        loss = { reason: error.code, status: error.status };
      }
      const delay = this.#pace.delay();
      const detail = { reason: loss.reason, status: loss.status ?? null, attempt: this.#pace.tries };
      await this.#pause(loss.checked ? 0 : delay, loss.retryAfter ?? 0, detail);
    }
    this.#queue.push({ forget: true }, 0);
  }

  /** One connection, from its request to its loss. */
  async #attempt() {
    this.#enter("connecting", { attempt: this.#pace.tries });
    const ask = await this.#ask();
    if (!ask.init) return ask;
    const connection = new Connection(this.#settings);
    this.#connection = connection;
    if (this.#over) connection.cut("closed");
    try {
      const response = await connection.open(ask.url, ask.init, ask.resumes);
      const problem = isEventStream(response) ? null : await connection.problem(response);
      const verdict = judge(response, problem, ask, this.#strays);
      if (verdict === STREAM) return await this.#read(connection, response, ask);
      if (verdict.reason === "not_event_stream") this.#strays += 1;
      return verdict;
    } catch (error) {
      if (error instanceof ResumableError) throw error;
      return { reason: connection.why ?? "unreachable", error };
    } finally {
      connection.cut("done");
      this.#connection = null;
    }
  }

  /** The next request: the start, or a resume. */
  async #ask() {
    const { url, resumeUrl, method, resumeMethod, body, credentials, idempotencyKey } = this.#settings;
    const resumes = this.#cursor.token !== null;
    let headers;
    try {
      headers = await this.#headers();
    } catch (error) {
      if (resumes) return { reason: "headers", error };
      throw new ResumableError("start_failed", "the function that gives the headers has failed", { cause: error });
    }
    headers.set("accept", "text/event-stream");
    const init = { method, headers, cache: "no-store" };
    if (credentials) init.credentials = credentials;
    if (resumes) {
      init.method = resumeMethod;
      this.#bear(headers, this.#cursor.token);
      const { from } = this.#cursor;
      if (from !== null) headers.set("x-resume-from", String(from));
      return { url: resumeUrl, init, resumes };
    }
    if (idempotencyKey)
      headers.set("idempotency-key", (this.#key ??= idempotencyKey === true ? await uuid() : idempotencyKey));
    const { lastEventId } = this.#cursor;
    if (lastEventId && canBeSent(lastEventId)) headers.set("last-event-id", asBytes(lastEventId));
    if (body !== undefined && body !== null) {
      init.body = body;
      if (isOneShot(body)) {
        init.duplex = "half";
        this.#bodySpent = true;
      }
    }
    return { url, init, resumes };
  }

  async #headers() {
    const { headers } = this.#settings;
    return new Headers(typeof headers === "function" ? await headers() : headers);
  }

  /** A request by token has no body. */
  #bear(headers, token) {
    for (const name of ["content-type", "content-length", "last-event-id"]) headers.delete(name);
    headers.set("x-resume-token", token);
  }

  async #read(connection, response, ask) {
    const token = response.headers.get("x-resume-token");
    if (token) this.#cursor.bear(token, null);
    this.#cursor.requestId = response.headers.get("x-resume-stream") ?? this.#cursor.requestId;
    this.#strays = 0;
    this.#snapshot = null;
    if (this.#pace.lost) this.#stats.reconnects += 1;
    this.#pace.lost = false;
    this.#enter("open", { requestId: this.#cursor.requestId });
    this.#hand(null, 0);
    const parser = new Parser(this.#settings.maxEventBytes, this.#settings.controlEvent, this.#cursor.lastEventId);
    let reason;
    try {
      reason = await this.#readBlocks(connection, parser, ask);
    } catch (error) {
      if (error instanceof ResumableError) throw error;
      reason = "cut";
    }
    if (reason === OVER) return OVER;
    reason = connection.why ?? (ask.waits ? "wait" : reason);
    this.#pace.told(parser.retry);
    this.#pace.lost = true;
    return { reason, opened: true, checked: connection.checked, degraded: response.headers.get("x-resume-degraded") };
  }

  async #readBlocks(connection, parser, ask) {
    for (;;) {
      const bytes = await connection.read();
      if (!bytes) return "eof";
      for (const block of parser.push(bytes)) {
        if (this.#receive(block, ask) === OVER) return OVER;
        await this.#queue.room();
        if (connection.why) return "cut";
      }
    }
  }

  // ---- what arrives

  /** Takes a block of the stream; OVER where it is the last. */
  #receive(block, ask) {
    const cursor = this.#cursor;
    const { control } = block;
    let reason;
    if (control) {
      reason = this.#obey(control, block, ask);
    } else if (this.#snapshot) {
      const { seq, status } = this.#snapshot;
      this.#snapshot = null;
      cursor.standIn(seq);
      this.#took(block.id);
      this.#progress({ type: "snapshot", seq, status, event: block.event, data: block.data ?? "" }, block.size);
    } else {
      const fresh = cursor.event();
      this.#took(block.id);
      // A block without data counts, but by the grammar it is not dispatched.
      if (!fresh) this.#stats.duplicates += 1;
      else if (block.data === null) this.#progress(null, 0);
      else {
        this.#stats.received += 1;
        this.#progress(
          { type: "event", event: block.event, data: block.data, id: block.lastEventId, seq: cursor.seq },
          block.size,
        );
      }
    }
    cursor.lastEventId = block.lastEventId;
    return reason;
  }

  #obey(control, block, ask) {
    const cursor = this.#cursor;
    const { phase, ...members } = control;
    let hole = null;
    if (phase === "open") cursor.begin();
    if (phase === "replay") hole = cursor.replay(control.from, ask.resumes);
    if (phase === "live" || phase === "token" || phase === "end") cursor.settle();
    // The server cuts this connection by itself.
    if (phase === "wait") ask.waits = true;
    if (phase === "gap") hole = cursor.gap(control.from, control.to);
    if (phase === "snapshot") this.#snapshot = { seq: control.seq, status: control.status };
    if (typeof control.request_id === "string") cursor.requestId = control.request_id;
    if (typeof control.token === "string") cursor.bear(control.token, null, control.expires_at);
    this.#took(block.id);
    if (hole) {
      this.#stats.missed += hole.to - hole.from + 1;
      this.#progress({ type: "gap", ...hole, reason: phase === "gap" ? String(control.reason) : "lost" }, 0);
    }
    if (phase === "end") {
      const { status, seq, diagnostics } = control;
      this.#queue.push({ message: { type: "end", status, seq, diagnostics }, forget: true }, 0);
      return OVER;
    }
    const isShown = this.#settings.control && phase !== "gap" && phase !== "snapshot";
    this.#hand(isShown ? { ...members, type: phase } : null, 0);
    return undefined;
  }

  /** An id is the newest token, unless it is the application's own. */
  #took(id) {
    if (id !== null && this.#cursor.isToken(id)) this.#cursor.bear(id, this.#cursor.position);
  }

  #progress(message, size) {
    this.#pace.reset();
    this.#hand(message, size);
  }

  #hand(message, size) {
    const memo = this.#settings.memory.wanted ? this.#cursor.memo() : null;
    if (message || memo) this.#queue.push({ message, memo }, size);
  }

  // ---- losses

  /** Throws where there is no way back. */
  #refuseToReturn(loss) {
    const { method, idempotencyKey, retry, body } = this.#settings;
    const about = { status: loss.status ?? null, cause: loss.error };
    const what = describe(loss);
    if (this.#cursor.token) {
      if (!loss.opened && this.#cursor.isExpired()) {
        throw new ResumableError(
          "unauthorized",
          `${what}, and the token is past its time: a new start is needed`,
          about,
        );
      }
    } else {
      const keyed = idempotencyKey && this.#stats.received === 0;
      if (!loss.unbegun && !isSafe(method) && !keyed) {
        if (loss.opened) {
          const why = loss.degraded ? `it was served without a token (${plain(loss.degraded)})` : "it had no token";
          throw new ResumableError(
            "not_resumable",
            `${what}: the stream cannot be resumed, as ${why}, and ${method} is not sent twice`,
            about,
          );
        }
        throw new ResumableError(
          "start_failed",
          `${what}: whether the server runs the request is not known, and ${method} without an idempotencyKey is not sent twice`,
          about,
        );
      }
      if (this.#bodySpent) {
        throw new ResumableError("start_failed", `${what}: a body that is a stream cannot be sent twice`, about);
      }
    }
    if (this.#pace.tries >= retry.attempts) {
      throw new ResumableError("gave_up", `${what}: no event after ${this.#pace.tries} attempts`, about);
    }
  }

  /** Waits, for as long as it takes to be online too. What happens to the page may shorten the delay, not Retry-After. */
  async #pause(delay, least, detail) {
    const notBefore = Date.now() + least;
    // Not measured again before the wait: a pause is told of however short it is, and however slow this machine.
    let left = Math.max(delay, least);
    while (!this.#over) {
      if (this.#page.isOffline()) {
        this.#enter("offline", detail);
        await this.#alarm.wait(Infinity);
      } else {
        if (left <= 0) return;
        this.#enter("waiting", { ...detail, delay: left });
        if (await this.#alarm.wait(left)) return;
      }
      left = notBefore - Date.now();
    }
  }

  #startAnew() {
    this.#cursor = new Cursor();
    this.#key = null;
    this.#queue.push({ message: { type: "restart" }, forget: true }, 0);
    if (this.#bodySpent) throw new ResumableError("start_failed", "a body that is a stream cannot be sent twice");
  }

  #recall() {
    return (this.#recalled ??= this.#settings.memory
      .recall()
      .then((memo) => memo && this.#cursor.restore(memo, this.#settings.from === "start")));
  }

  async #askToCancel(token) {
    const { resumeUrl, credentials } = this.#settings;
    const pace = new Pace(this.#settings.retry);
    for (let tries = 1; ; tries += 1) {
      const headers = await this.#headers();
      this.#bear(headers, token);
      const connection = new Connection(this.#settings);
      let loss;
      try {
        const init = { method: "DELETE", headers, cache: "no-store" };
        if (credentials) init.credentials = credentials;
        const response = await connection.open(resumeUrl, init, true);
        const problem = await connection.problem(response);
        if (response.status === 202) return "asked";
        if (response.status === 204) return "ended";
        loss = judge(response, problem, { url: resumeUrl, resumes: true }, 0);
      } catch (error) {
        if (error instanceof ResumableError) throw error;
        loss = { reason: connection.why ?? "unreachable", error };
      } finally {
        connection.cut("done");
      }
      if (tries === CANCEL_ATTEMPTS)
        throw new ResumableError("gave_up", `${describe(loss)}: the stream could not be cancelled`, {
          status: loss.status ?? null,
          cause: loss.error,
        });
      await new Alarm().wait(Math.max(pace.delay(), loss.retryAfter ?? 0));
    }
  }
}

/**
 * The same with the face of an `EventSource`. It begins at once. Beside the stream's own events it has `gap`, `snapshot`,
 * `restart` and `end`, which are told from events of those names by being no `MessageEvent`.
 */
export class ResumableEventSource extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;
  CONNECTING = 0;
  OPEN = 1;
  CLOSED = 2;
  #url;
  #withCredentials;
  #readyState = 0;
  #stream;
  #handlers = new Map();

  constructor(url, options = {}) {
    super();
    const { withCredentials = options.credentials === "include", onState, ...rest } = options;
    this.#withCredentials = withCredentials;
    if (withCredentials) rest.credentials = "include";
    this.#stream = resumable(url, {
      ...rest,
      onState: (state, detail) => {
        onState?.(state, detail);
        this.#follow(state, detail);
      },
    });
    this.#url = parseUrl(url).href;
    for (const name of ["open", "message", "error", "gap", "snapshot", "restart", "end"]) this.#handler(name);
    // As with the native one, listeners that are added right after construction miss nothing.
    queueMicrotask(() => this.#pump());
  }

  get url() {
    return this.#url;
  }

  get withCredentials() {
    return this.#withCredentials;
  }

  get readyState() {
    return this.#readyState;
  }

  /** The stream behind it: state, token, seq, stats, disconnect, cancel. */
  get stream() {
    return this.#stream;
  }

  close() {
    this.#readyState = 2;
    this.#stream.close();
  }

  async #pump() {
    let ended = null;
    try {
      for await (const event of this.#stream) {
        if (this.#readyState === 2) return;
        if (event.type === "event") this.#say(event);
        else if (event.type === "end") ended = event;
        else this.dispatchEvent(new StreamEvent(event.type, event));
      }
    } catch (error) {
      if (this.#readyState === 2) return;
      this.#readyState = 2;
      this.dispatchEvent(new StreamEvent("error", { error, fatal: true, message: error.message }));
      return;
    }
    if (this.#readyState === 2) return;
    this.#readyState = 2;
    this.dispatchEvent(new StreamEvent("end", ended ?? { status: null, seq: this.#stream.seq, diagnostics: null }));
  }

  #say({ event, data, id, seq }) {
    const { origin } = new URL(this.#url);
    const message = new MessageEvent(event, { data, lastEventId: id, origin });
    Object.defineProperty(message, "seq", { value: seq, enumerable: true });
    this.dispatchEvent(message);
  }

  #follow(state, detail) {
    if (this.#readyState === 2) return;
    if (state === "open") {
      this.#readyState = 1;
      this.dispatchEvent(new Event("open"));
    } else if (state === "waiting" || state === "offline") {
      const was = this.#readyState;
      this.#readyState = 0;
      if (was === 1 || state === "waiting") {
        this.dispatchEvent(
          new StreamEvent("error", {
            error: null,
            fatal: false,
            message: describe({ reason: state, ...detail }),
            ...detail,
          }),
        );
      }
    } else if (state === "connecting") this.#readyState = 0;
  }

  /** `on…` as a property. */
  #handler(name) {
    Object.defineProperty(this, `on${name}`, {
      get: () => this.#handlers.get(name)?.call ?? null,
      set: (call) => {
        const old = this.#handlers.get(name);
        if (old) this.removeEventListener(name, old.listen);
        this.#handlers.delete(name);
        if (typeof call !== "function") return;
        const listen = (event) => call.call(this, event);
        this.#handlers.set(name, { call, listen });
        this.addEventListener(name, listen);
      },
      enumerable: true,
    });
  }
}

class StreamEvent extends Event {
  constructor(name, { type: _, ...members }) {
    super(name);
    Object.assign(this, members);
  }
}

/** What ends a stream for good. `code` says why; no text of it holds a token. */
export class ResumableError extends Error {
  constructor(code, message, { status = null, problem = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ResumableError";
    this.code = code;
    this.status = status;
    /** The server's own word for it, from its problem document. */
    this.problem = problem;
  }

  /** Whether what the stream was is lost, and only a new start helps. */
  get needsNewStart() {
    return this.code === "unauthorized" || this.code === "gone";
  }
}

// ---- settings

/** How long nothing at all may arrive, where the server's heartbeat is 10 s. */
const IDLE_MS = 30_000;
const RETRY_BASE_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** The least that a server's `retry:` counts for: none makes its clients come back without a pause. */
const RETRY_LEAST_MS = 10;
/** The longest that a `Retry-After` is obeyed. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** The longest that a timer can be set to. */
const TIMER_MAX_MS = 2 ** 31 - 1;
const MAX_BUFFERED = 256;
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** What is read of an error's body. */
const MAX_PROBLEM_BYTES = 8 * 1024;
/** How often in a row something else than a stream may answer a resume: a login page of the network, say. */
const MAX_STRAYS = 3;
const CANCEL_ATTEMPTS = 3;
/** How many redirects a request with a token follows. */
const MAX_REDIRECTS = 10;

function settingsOf(url, options) {
  const target = parseUrl(url);
  const method = (options.method ?? "GET").toUpperCase();
  const { headers, body, retry = {} } = options;
  // What cannot be sent at all is told at once, by the platform's own words.
  if (typeof headers !== "function") new Headers(headers);
  if (body !== undefined && body !== null && !isOneShot(body)) new Request(target, { method, body });
  return {
    url: target.href,
    resumeUrl: options.resumeUrl === undefined ? target.href : parseUrl(options.resumeUrl, target).href,
    method,
    resumeMethod: (options.resumeMethod ?? "GET").toUpperCase(),
    headers,
    body,
    signal: options.signal,
    credentials: options.credentials,
    fetch: options.fetch,
    idempotencyKey: options.idempotencyKey ?? null,
    memory: new Memory(options.storage, options.storageKey ?? `tower-resume ${method} ${target.href}`),
    from: options.from ?? "missed",
    restart: options.restart ?? false,
    control: options.control ?? false,
    controlEvent: options.controlEvent ?? "resume",
    idleTimeout: options.idleTimeout ?? IDLE_MS,
    retry: { base: retry.base ?? RETRY_BASE_MS, max: retry.max ?? RETRY_MAX_MS, attempts: retry.attempts ?? Infinity },
    maxBuffered: Math.max(1, options.maxBuffered ?? MAX_BUFFERED),
    maxEventBytes: options.maxEventBytes ?? MAX_EVENT_BYTES,
    onState: options.onState,
  };
}

/** An address that can be fetched. Its text is in no error: a query may hold a secret. */
function parseUrl(url, base = globalThis.document?.baseURI ?? globalThis.location?.href) {
  let parsed;
  try {
    parsed = new URL(url, base);
  } catch {
    throw new ResumableError("bad_url", base ? "this is not a URL" : "this is not an absolute URL");
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    throw new ResumableError("bad_url", `the URL has to be of http or https, not ${plain(parsed.protocol)}`);
  }
  if (parsed.username || parsed.password) {
    throw new ResumableError("bad_url", "a URL with a user name or password cannot be fetched: send a header");
  }
  return parsed;
}

const isSafe = (method) => method === "GET" || method === "HEAD";
const isOneShot = (body) => typeof ReadableStream !== "undefined" && body instanceof ReadableStream;

/** Node 18 has no global `crypto`. As a value, with a word to bundlers, so that none of them looks for it. */
const NODE_CRYPTO = "node:crypto";
const nodeCrypto = () => import(/* webpackIgnore: true */ /* @vite-ignore */ NODE_CRYPTO).catch(() => ({}));

async function uuid() {
  const crypto = globalThis.crypto ?? (await nodeCrypto()).webcrypto;
  if (!crypto?.getRandomValues) throw new TypeError("no random numbers here: give idempotencyKey as a text");
  // `randomUUID` exists in secure contexts only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** A text as a header takes it: its UTF-8, a character a byte. */
const asBytes = (text) => Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");

/** Whether a header can carry it. */
const canBeSent = (text) => !/[\0-\x08\x0a-\x1f\x7f]/.test(text);

/** What a peer has sent, fit for an error's text. */
const plain = (text) =>
  String(text)
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, 100);

// ---- one connection

class Connection {
  #abort = new AbortController();
  #settings;
  #reader = null;
  #stopped;
  #stop;
  #heardAt = Date.now();
  #reading = false;
  /** Why it was cut on purpose. */
  why = null;
  /** It was found dead when the page came back. */
  checked = false;

  constructor(settings) {
    this.#settings = settings;
    this.#stopped = new Promise((_, reject) => {
      this.#stop = reject;
    });
    this.#stopped.catch(() => {});
  }

  /** The response's head. A start may take the server its time; a request by token is answered at once. */
  async open(url, init, isByToken) {
    const timer = isByToken ? this.#watch() : undefined;
    const fetch = this.#settings.fetch ?? globalThis.fetch;
    const send = isByToken ? fetchWithin : fetch;
    try {
      const answer = send(url, { ...init, signal: this.#abort.signal }, fetch);
      // One that comes too late is let go.
      answer.then(
        (response) => this.why && response.body?.cancel().catch(() => {}),
        () => {},
      );
      const response = await Promise.race([answer, this.#stopped]);
      this.#reader = response.body?.getReader() ?? null;
      return response;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next bytes; undefined at the end, however it came. */
  async read() {
    if (!this.#reader || this.why) return undefined;
    const timer = this.#watch();
    this.#heardAt = Date.now();
    this.#reading = true;
    try {
      const { done, value } = await this.#reader.read();
      return done || this.why ? undefined : value;
    } finally {
      this.#reading = false;
      clearTimeout(timer);
    }
  }

  /** The `code` of a problem document. */
  async problem(response) {
    if (!/^application\/(problem\+)?json\b/i.test(response.headers.get("content-type") ?? "")) return null;
    const chunks = [];
    let length = 0;
    try {
      for (let bytes = await this.read(); bytes; bytes = await this.read()) {
        length += bytes.length;
        if (length > MAX_PROBLEM_BYTES) return null;
        chunks.push(...bytes);
      }
      const { code } = JSON.parse(new TextDecoder().decode(Uint8Array.from(chunks)));
      return /^[\w.-]{1,64}$/.test(code) ? code : null;
    } catch {
      return null;
    }
  }

  /** Looks, after a sleep of the page, whether it was silent for too long. */
  check() {
    const { idleTimeout } = this.#settings;
    if (this.#reading && idleTimeout > 0 && Date.now() - this.#heardAt > idleTimeout) {
      this.checked = true;
      this.cut("idle");
    }
  }

  cut(why) {
    if (this.why) return;
    this.why = why;
    this.#stop(new Error(why));
    this.#abort.abort();
    this.#reader?.cancel().catch(() => {});
  }

  #watch() {
    const { idleTimeout } = this.#settings;
    return idleTimeout > 0 ? setTimeout(() => this.cut("idle"), Math.min(idleTimeout, TIMER_MAX_MS)) : undefined;
  }
}

/** As `fetch`, for a request with a token: it goes to the origin that it is of, wherever a redirect leads. */
async function fetchWithin(url, init, fetch) {
  const { origin } = new URL(url);
  let { method } = init;
  let at = url;
  for (let hops = 0; ; hops += 1) {
    const response = await fetch(at, { ...init, method, redirect: "manual" });
    if (response.type === "opaqueredirect") {
      // A browser does not say where it leads. Within the page's own origin it follows, if told to, and to nowhere else.
      const isOwn = origin === globalThis.location?.origin;
      return isOwn ? fetch(at, { ...init, method, mode: "same-origin" }) : response;
    }
    const next = hops < MAX_REDIRECTS ? redirectOf(response, at) : null;
    if (next?.origin !== origin) return response;
    response.body?.cancel().catch(() => {});
    at = next.href;
    if (response.status === 303 || (response.status < 303 && method === "POST")) method = "GET";
  }
}

/** Where a response leads. */
function redirectOf(response, base) {
  const to = REDIRECTS.has(response.status) ? response.headers.get("location") : null;
  try {
    return to === null ? null : new URL(to, base);
  } catch {
    return null;
  }
}

// ---- what answers mean

/** A stream follows. */
const STREAM = Symbol("stream");
/** There is no more. */
const OVER = Symbol("over");

/** What passes by itself. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

function isEventStream(response) {
  return response.status === 200 && /^\s*text\/event-stream\s*(;|$)/i.test(response.headers.get("content-type") ?? "");
}

/** STREAM, OVER, or a loss to come back from. Throws what is final. */
function judge(response, problem, ask, strays) {
  const { status } = response;
  const what = `${ask.resumes ? "the resume" : "the start"} at ${whereIs(ask.url)} was answered ${status}${problem ? ` (${problem})` : ""}`;
  const fail = (code, advice) => {
    throw new ResumableError(code, `${what}${advice}`, { status, problem });
  };
  const retryAfter = retryAfterOf(response.headers);
  if (status === 204) return OVER;
  if (isEventStream(response)) return STREAM;
  if (status === 200) {
    if (ask.resumes && strays < MAX_STRAYS) return { reason: "not_event_stream", status, retryAfter };
    const type = response.headers.get("content-type");
    fail(
      "not_event_stream",
      `, but with ${type ? `content of type ${plain(type)}` : "no content type"} in place of text/event-stream`,
    );
  }
  if (status === 401)
    fail(
      "unauthorized",
      ask.resumes
        ? ": the token, or who sends it, is not accepted; a new start is needed"
        : ": look at the headers that are sent",
    );
  if (ask.resumes && (status === 410 || status === 426))
    fail("gone", ": the stream is no longer there; a new start is needed");
  // These come before anything has begun.
  const unbegun = status === 429 || status === 503 || (status === 409 && problem === "in_progress");
  if (TRANSIENT.has(status) || (unbegun && !ask.resumes)) return { reason: "busy", status, retryAfter, unbegun };
  if (ask.resumes && (REDIRECTS.has(status) || response.type === "opaqueredirect"))
    fail("refused", ": it sends elsewhere, to where a token is not sent along; give that address as resumeUrl");
  const isPath = status === 404 || status === 405;
  if (isPath && ask.resumes)
    fail("refused", ": look at resumeUrl and resumeMethod, the address where the layer answers");
  fail("refused", isPath ? ": look at the URL and the method" : status === 403 ? ": this is not allowed" : "");
}

/** In milliseconds; a date is taken by the server's own clock, where it tells. */
function retryAfterOf(headers) {
  const value = headers.get("retry-after")?.trim();
  if (!value) return 0;
  const date = Date.parse(value) - (Date.parse(headers.get("date")) || Date.now());
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : date;
  return Math.min(Math.max(ms || 0, 0), RETRY_AFTER_MAX_MS);
}

/** An address without its query. */
function whereIs(url) {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function describe({ reason, status, retryAfter }) {
  switch (reason) {
    case "offline":
      return "the network is offline";
    case "unreachable":
      return "the server could not be reached";
    case "headers":
      return "the function that gives the headers has failed";
    case "busy":
      return `the server answered ${status}${retryAfter ? `, and to come back in ${Math.ceil(retryAfter / 1000)} s` : ""}`;
    case "not_event_stream":
      return "something else than an event stream has answered";
    case "idle":
      return "nothing arrived for too long";
    case "eof":
      return "the connection was closed before the stream's end";
    case "disconnect":
      return "the connection was cut on purpose";
    case "wait":
      return "the server asked to come back later";
    default:
      return "the connection was lost";
  }
}

// ---- the parser: "Interpreting an event stream", section 9.2.6 of the HTML standard

const LF = 10;
const CR = 13;

/** Bytes in, blocks out. Lines are split as bytes, which UTF-8 allows, and decoded one by one. */
class Parser {
  #max;
  #mark;
  #line = new Uint8Array(256);
  #length = 0;
  #afterCr = false;
  #atStart = true;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #data = [];
  #event = "";
  #id = null;
  #lastEventId;
  #size = 0;
  /** The newest `retry:`, in milliseconds. */
  retry = null;

  constructor(maxEventBytes, controlEvent, lastEventId) {
    this.#max = maxEventBytes;
    this.#mark = controlEvent;
    this.#lastEventId = lastEventId;
  }

  *push(bytes) {
    if (bytes.length === 0) return;
    let start = this.#afterCr && bytes[0] === LF ? 1 : 0;
    this.#afterCr = false;
    for (let end = lineEnd(bytes, start); end < bytes.length; end = lineEnd(bytes, start)) {
      const block = this.#take(bytes.subarray(start, end));
      start = end + 1;
      if (bytes[end] === CR && bytes[start] === LF) start += 1;
      else this.#afterCr = bytes[end] === CR && start === bytes.length;
      if (block) yield block;
    }
    this.#hold(bytes.subarray(start));
  }

  #hold(rest) {
    if (rest.length === 0) return;
    const length = this.#length + rest.length;
    if (this.#size + length > this.#max) this.#refuse();
    if (length > this.#line.length) {
      const longer = new Uint8Array(Math.min(Math.max(length, this.#line.length * 2), this.#max));
      longer.set(this.#line.subarray(0, this.#length));
      this.#line = longer;
    }
    this.#line.set(rest, this.#length);
    this.#length = length;
  }

  /** A whole line, but for what of it came earlier. */
  #take(rest) {
    let line = rest;
    if (this.#length > 0) {
      this.#hold(rest);
      line = this.#line.subarray(0, this.#length);
      this.#length = 0;
    }
    if (this.#atStart) {
      this.#atStart = false;
      if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) line = line.subarray(3);
    }
    if (line.length === 0) return this.#dispatch();
    if (this.#size + line.length > this.#max) this.#refuse();
    return this.#field(this.#decoder.decode(line), line.length);
  }

  #field(line, size) {
    const colon = line.indexOf(":");
    if (colon === 0) return this.#comment(line);
    this.#size += size + 1;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return null;
  }

  /** A control event may come as a comment: `: resume {…}`. */
  #comment(line) {
    if (!line.startsWith(`: ${this.#mark} {`)) return null;
    const control = controlOf(line.slice(this.#mark.length + 3));
    return control && { control, id: null, lastEventId: this.#lastEventId, size: 0 };
  }

  /** At a blank line. Any line but a comment makes a block; only one with data is an event. */
  #dispatch() {
    if (this.#size === 0) return null;
    const data = this.#data.length > 0 ? this.#data.join("\n") : null;
    const event = this.#event || "message";
    const control = data !== null && event === this.#mark ? controlOf(data) : null;
    const block = {
      event,
      data,
      control,
      id: this.#id,
      lastEventId: (this.#lastEventId = this.#id ?? this.#lastEventId),
      size: this.#size,
    };
    this.#data = [];
    this.#event = "";
    this.#id = null;
    this.#size = 0;
    return block;
  }

  #refuse() {
    throw new ResumableError("too_large", `an event is larger than ${this.#max} bytes (maxEventBytes)`);
  }
}

function lineEnd(bytes, start) {
  let at = start;
  while (at < bytes.length && bytes[at] !== LF && bytes[at] !== CR) at += 1;
  return at;
}

/** What a control event says, if it is one. */
function controlOf(text) {
  try {
    const control = JSON.parse(text);
    return typeof control === "object" && control !== null && typeof control.phase === "string" ? control : null;
  } catch {
    return null;
  }
}

// ---- the cursor: where this client is in the stream

class Cursor {
  token = null;
  /** The seq that an `id` has brought the token at; null where it came otherwise, as it does where there are no ids. */
  #tokenSeq = null;
  requestId = null;
  lastEventId = "";
  /** When the token is past its time, by the server's clock; and how long before that it was given, by this one. */
  #expiresAt = null;
  #lifetime = null;
  /** Where the server is: the seq of the last block of this connection. */
  position = 0;
  /** What has not to be sent again. */
  delivered = 0;
  /** What gaps were told of. Until more follows, a snapshot may: so it has not been delivered yet. */
  #announced = 0;

  get seq() {
    return Math.max(this.delivered, this.#announced);
  }

  /** What has to be said to the server, as the token does not: null, or the seq. */
  get from() {
    return this.#tokenSeq === this.delivered ? null : this.delivered;
  }

  /** A new stream. */
  begin() {
    this.position = this.delivered = this.#announced = 0;
  }

  /** A resumed response begins. Says what it jumps over, which no right server does. */
  replay(from, resumes) {
    if (!isSeq(from)) return null;
    this.position = from;
    // A start that has joined a running stream, at a place of the server's choosing.
    if (!resumes) this.delivered = this.#announced = from;
    return from > this.seq ? this.gap(this.seq + 1, from) : null;
  }

  /** Counts an event. Says whether it is new. */
  event() {
    this.position += 1;
    const fresh = this.position > this.seq;
    this.delivered = Math.max(this.delivered, this.position);
    return fresh;
  }

  /** Events that will never come. Says which of them are news. */
  gap(from, to) {
    if (!isSeq(from) || !isSeq(to) || to < from) return null;
    this.settle();
    this.position = to;
    const news = { from: Math.max(from, this.seq + 1), to };
    this.#announced = Math.max(this.#announced, to);
    return news.from <= to ? news : null;
  }

  /** No snapshot follows the last gap. */
  settle() {
    if (this.position >= this.#announced) this.delivered = this.seq;
  }

  /** A snapshot has come, in place of all up to its seq. */
  standIn(seq) {
    if (isSeq(seq)) this.position = Math.max(this.position, seq);
    this.delivered = Math.max(this.delivered, this.position);
  }

  bear(token, seq, expiresAt) {
    if (!TOKEN.test(token)) return;
    this.token = token;
    this.#tokenSeq = seq;
    const now = Date.now();
    if (isSeq(expiresAt)) this.#lifetime = expiresAt - now;
    if (this.#lifetime !== null) this.#expiresAt = now + this.#lifetime;
  }

  /** Whether an id is a token: it looks like the one that is known. */
  isToken(id) {
    return this.token !== null && id.length >= TOKEN_LEAST && id[0] === this.token[0] && TOKEN.test(id);
  }

  isExpired() {
    return this.#expiresAt !== null && Date.now() > this.#expiresAt;
  }

  memo() {
    if (!this.token) return null;
    return {
      token: this.token,
      tokenSeq: this.#tokenSeq,
      seq: this.delivered,
      requestId: this.requestId,
      expiresAt: this.#expiresAt,
    };
  }

  restore(memo, fromStart) {
    this.token = memo.token;
    this.#tokenSeq = memo.tokenSeq;
    this.requestId = memo.requestId;
    this.#expiresAt = memo.expiresAt;
    this.position = this.delivered = this.#announced = fromStart ? 0 : memo.seq;
  }
}

const TOKEN = /^[A-Za-z0-9_-]{1,150}$/;
/** No token is shorter; many an application's id is. */
const TOKEN_LEAST = 40;

const isSeq = (number) => Number.isSafeInteger(number) && number >= 0;

// ---- the back-off: full jitter over a growing span

class Pace {
  #base;
  #max;
  #losses = 0;
  /** Attempts in a row that have brought nothing. */
  tries = 0;
  /** A stream was lost, and has not been had again. */
  lost = false;

  constructor({ base, max }) {
    this.#base = base;
    this.#max = max;
  }

  /** By the server's `retry:`. */
  told(retry) {
    if (retry !== null) this.#base = Math.max(retry, RETRY_LEAST_MS);
  }

  delay() {
    const span = Math.min(this.#max, this.#base * 2 ** this.#losses);
    this.#losses += 1;
    // Never nothing at all: a loop without a pause would leave a page no time.
    return Math.max(1, Math.random() * span);
  }

  reset() {
    this.#losses = 0;
    this.tries = 0;
  }
}

/** A wait that can be cut short. */
class Alarm {
  #ring = null;

  /** Whether the time has passed; false where it was rung. */
  wait(ms) {
    return new Promise((resolve) => {
      const done = (inTime) => {
        clearTimeout(timer);
        this.#ring = null;
        resolve(inTime);
      };
      const timer = ms === Infinity ? undefined : setTimeout(done, Math.min(ms, TIMER_MAX_MS), true);
      this.#ring = () => done(false);
    });
  }

  ring() {
    this.#ring?.();
  }
}

// ---- what was read and not yet taken

class Queue {
  #items = [];
  #size = 0;
  #maxItems;
  #maxSize;
  #taker = null;
  #reader = null;
  #closed = false;
  #error = null;

  constructor(maxItems, maxSize) {
    this.#maxItems = maxItems;
    this.#maxSize = maxSize;
  }

  push(item, size) {
    if (this.#closed) return;
    this.#items.push({ item, size });
    this.#size += size;
    this.#taker?.();
  }

  /** Resolves once there is room for one more. */
  async room() {
    while (!this.#closed && (this.#items.length >= this.#maxItems || this.#size >= this.#maxSize)) {
      await new Promise((resolve) => {
        this.#reader = resolve;
      });
    }
  }

  /** The next one; undefined at the end. */
  async take() {
    while (this.#items.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#closed) return undefined;
      await new Promise((resolve) => {
        this.#taker = resolve;
      });
      this.#taker = null;
    }
    const { item, size } = this.#items.shift();
    this.#size -= size;
    this.#reader?.();
    this.#reader = null;
    return item;
  }

  /** No more comes. An error is thrown once what is there has been taken, or at once where that is dropped. */
  close(error, drop) {
    this.#closed = true;
    this.#error = error;
    if (drop) this.#items = [];
    this.#taker?.();
    this.#reader?.();
  }
}

// ---- storage

/** A `Storage` of the web (`sessionStorage`, say) as `storage`. */
export function storageOf(webStorage) {
  return {
    get: (key) => webStorage.getItem(key),
    set: (key, value) => webStorage.setItem(key, value),
    remove: (key) => webStorage.removeItem(key),
  };
}

/** What leads a new client back to the stream. A storage that fails costs that, and nothing else. */
class Memory {
  #storage;
  #key;
  #warned = false;

  constructor(storage, key) {
    this.#storage = storage ?? null;
    this.#key = key;
  }

  get wanted() {
    return this.#storage !== null;
  }

  async recall() {
    const memo = memoOf(await this.#try("get"));
    if (memo && memo.expiresAt !== null && Date.now() > memo.expiresAt) {
      await this.forget();
      return null;
    }
    return memo;
  }

  async keep(memo) {
    await this.#try("set", JSON.stringify(memo));
  }

  async forget() {
    await this.#try("remove");
  }

  async #try(what, ...value) {
    try {
      return await this.#storage?.[what](this.#key, ...value);
    } catch (error) {
      if (!this.#warned)
        globalThis.console?.warn("resumable: the storage has failed, so a reload will not find the stream:", error);
      this.#warned = true;
      return null;
    }
  }
}

/** What was stored, if it can be used. */
function memoOf(text) {
  if (typeof text !== "string") return null;
  try {
    const { token, tokenSeq, seq, requestId, expiresAt } = JSON.parse(text);
    if (typeof token !== "string" || !TOKEN.test(token) || !isSeq(seq)) return null;
    return {
      token,
      tokenSeq: isSeq(tokenSeq) ? tokenSeq : null,
      seq,
      requestId: typeof requestId === "string" ? requestId : null,
      expiresAt: isSeq(expiresAt) ? expiresAt : null,
    };
  } catch {
    return null;
  }
}

// ---- the page around it: nothing of this is there in Node

class Page {
  #listeners = [];

  /** Calls back when it is worth while to look again; with true where the page, or the network, has come back. */
  listen(call) {
    const { document } = globalThis;
    const on = (target, name, listener) => {
      if (typeof target?.addEventListener !== "function") return;
      target.addEventListener(name, listener);
      this.#listeners.push(() => target.removeEventListener(name, listener));
    };
    on(globalThis, "online", () => call(true));
    on(globalThis, "offline", () => call(false));
    on(document, "visibilitychange", () => document.visibilityState === "visible" && call(true));
  }

  leave() {
    for (const remove of this.#listeners.splice(0)) remove();
  }

  /** Whether it is known, and will be told when it changes. */
  isOffline() {
    return globalThis.navigator?.onLine === false && typeof globalThis.addEventListener === "function";
  }
}
