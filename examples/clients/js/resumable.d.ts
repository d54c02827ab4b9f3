// Types of resumable.js.

/** The start of a stream, and how to come back to it. */
export interface ResumableOptions {
  /** Of the request that starts the stream. Default: `GET`. */
  method?: string;
  /** Sent with every request. A function is asked again each time, so that fresh credentials go along. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Of the request that starts the stream. One that is a `ReadableStream` can be sent only once. */
  body?: BodyInit | null;
  /** Ends everything with the error `aborted`. */
  signal?: AbortSignal;
  credentials?: RequestCredentials;
  /** In place of the global one. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Where to come back, if it is not the URL itself; relative to that one. */
  resumeUrl?: string | URL;
  /** Default: `GET`. */
  resumeMethod?: string;
  /**
   * Sent as `Idempotency-Key`: with it, a start whose answer is lost is sent again, also by POST. `true` makes a random
   * one. Only for servers that know such keys.
   */
  idempotencyKey?: string | true;
  /** Where the way back is kept, for a new client after a page reload. Default: nowhere. */
  storage?: ResumableStorage;
  /** Default: made from method and URL. */
  storageKey?: string;
  /** What a client that finds something stored gets: what it has missed (default), or everything again. */
  from?: "missed" | "start";
  /** Begins a new stream, after a `restart`, where the old one cannot be had any more. Default: an error. */
  restart?: boolean;
  /** Yields the other control events, too. Default: false. */
  control?: boolean;
  /** The name of the server's control events. Default: `resume`. */
  controlEvent?: string;
  /** Milliseconds without a byte after which a connection counts as lost; 0 turns it off. Default: 30,000. */
  idleTimeout?: number;
  retry?: {
    /** Milliseconds of the first back-off, until the server says its `retry:`. Default: 1,000. */
    base?: number;
    /** Milliseconds of the longest one. Default: 30,000. */
    max?: number;
    /** Attempts in a row that may bring no event, before the error `gave_up`. Default: no end. */
    attempts?: number;
  };
  /** Events that are read ahead of the consumer, at most. Default: 256. */
  maxBuffered?: number;
  /** Bytes of the largest event. Default: 16 MiB. */
  maxEventBytes?: number;
  /** Told of every change of state. */
  onState?: (state: ResumableState, detail: ResumableStateDetail) => void;
}

export type ResumableState = "idle" | "connecting" | "open" | "waiting" | "offline" | "ended" | "failed" | "closed";

export interface ResumableStateDetail {
  /** Why a connection was lost: `unreachable`, `cut`, `eof`, `idle`, `disconnect`, `busy`, `wait`, … */
  reason?: string;
  status?: number | null;
  /** Attempts in a row that have brought no event. */
  attempt?: number;
  /** Milliseconds until the next one. */
  delay?: number;
  requestId?: string | null;
  error?: ResumableError;
}

/** An event of the server's. */
export interface StreamEvent {
  type: "event";
  /** Its name; `message` where it has none. */
  event: string;
  data: string;
  /** The stream's last event id: by default a token, so keep it to yourself. */
  id: string;
  /** Its place in the stream, from 1. */
  seq: number;
}

/** Events that will never come, both bounds included. */
export interface StreamGap {
  type: "gap";
  from: number;
  to: number;
  reason: "trimmed" | "oversize" | "lost" | (string & {});
}

/** What stands in for all events up to its seq. */
export interface StreamSnapshot {
  type: "snapshot";
  seq: number;
  status: string;
  /** `complete` for a stream that is over, else `state`. */
  event: string;
  data: string;
}

/** The stream is over. Nothing follows. */
export interface StreamEnd {
  type: "end";
  status: "complete" | "error" | "interrupted" | "cancelled" | (string & {});
  seq: number;
  diagnostics: { resumes: number; trims: number; recovered_events: number; correlation_id: string };
}

/** A new stream begins, from its first event: what was had of the old one does not count. */
export interface StreamRestart {
  type: "restart";
}

/** With `control: true`. */
export type StreamControl =
  | { type: "open"; token: string; request_id: string; expires_at: number }
  | {
      type: "replay";
      token: string;
      request_id: string;
      expires_at: number;
      mode: string;
      from: number;
      first: number;
      last: number;
      status: string;
    }
  | { type: "live"; seq: number; replayed: number }
  | { type: "token"; token: string; expires_at: number }
  | { type: "wait"; token: string; reason: string };

export type ResumableEvent = StreamEvent | StreamGap | StreamSnapshot | StreamEnd | StreamRestart;

export interface ResumableStats {
  /** Events that have arrived, none counted twice. */
  received: number;
  /** Events that came again, and were dropped. */
  duplicates: number;
  /** How often a lost stream was had again. */
  reconnects: number;
  /** Events that gaps stand for. */
  missed: number;
}

export interface ResumableStream<E = ResumableEvent> extends AsyncIterable<E> {
  readonly state: ResumableState;
  /** The newest token, or null. Whoever has it can read the stream. */
  readonly token: string | null;
  /** The seq of the last event that has arrived. */
  readonly seq: number;
  readonly requestId: string | null;
  readonly stats: ResumableStats;
  [Symbol.asyncIterator](): ResumableStream<E>;
  next(): Promise<IteratorResult<E, undefined>>;
  /** Called by `break` in a `for await`. Leaves, as `close` does. */
  return(value?: unknown): Promise<IteratorResult<E, undefined>>;
  /** Cuts the open connection. The stream comes back by itself. */
  disconnect(): void;
  /** Leaves. The stream on the server runs on. */
  close(): void;
  /** Stops the stream on the server: it has `ended`, or was `asked` to. Followers get an `end` with status `cancelled`. */
  cancel(): Promise<"ended" | "asked">;
}

/** A stream of events that comes back by itself. Nothing is sent before the first event is asked for. */
export function resumable(
  url: string | URL,
  options: ResumableOptions & { control: true },
): ResumableStream<ResumableEvent | StreamControl>;
export function resumable(url: string | URL, options?: ResumableOptions): ResumableStream;

export type ResumableErrorCode =
  | "bad_url"
  | "not_event_stream"
  | "start_failed"
  | "not_resumable"
  | "unauthorized"
  | "gone"
  | "refused"
  | "gave_up"
  | "too_large"
  | "aborted";

/** What ends a stream for good. No text of it holds a token. */
export class ResumableError extends Error {
  constructor(
    code: ResumableErrorCode,
    message: string,
    options?: { status?: number | null; problem?: string | null; cause?: unknown },
  );
  readonly name: "ResumableError";
  readonly code: ResumableErrorCode;
  /** Of the answer that it is about. */
  readonly status: number | null;
  /** The server's own word for it, from its problem document. */
  readonly problem: string | null;
  /** Whether what the stream was is lost, and only a new start helps. */
  readonly needsNewStart: boolean;
}

/** Where the way back to a stream is kept. What is kept holds a token. */
export interface ResumableStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): unknown;
  remove(key: string): unknown;
}

/** A `Storage` of the web, such as `sessionStorage`, as `storage`. */
export function storageOf(webStorage: Pick<Storage, "getItem" | "setItem" | "removeItem">): ResumableStorage;

/** An event of the server's: a `MessageEvent`, as the native `EventSource` has it, with its place in the stream. */
export type ResumableMessageEvent = MessageEvent<string> & { readonly seq: number };
/** A connection was lost (`fatal` is false: it comes back by itself), or the stream for good. */
export type ResumableErrorEvent = Event & {
  readonly error: ResumableError | null;
  readonly fatal: boolean;
  readonly message: string;
} & ResumableStateDetail;
export type ResumableGapEvent = Event & Omit<StreamGap, "type">;
export type ResumableSnapshotEvent = Event & Omit<StreamSnapshot, "type">;
/** With members of null where the server only said that there is no more (204). */
export type ResumableEndEvent = Event & {
  readonly status: StreamEnd["status"] | null;
  readonly seq: number;
  readonly diagnostics: StreamEnd["diagnostics"] | null;
};

export interface ResumableEventSourceEventMap {
  open: Event;
  message: ResumableMessageEvent;
  error: ResumableErrorEvent;
  gap: ResumableGapEvent;
  snapshot: ResumableSnapshotEvent;
  restart: Event;
  end: ResumableEndEvent;
}

/** The same with the face of an `EventSource`. It begins at once. */
export class ResumableEventSource extends EventTarget {
  constructor(url: string | URL, options?: Omit<ResumableOptions, "control"> & { withCredentials?: boolean });
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSED: 2;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSED: 2;
  readonly url: string;
  readonly withCredentials: boolean;
  readonly readyState: 0 | 1 | 2;
  /** The stream behind it: state, token, seq, stats, disconnect, cancel. */
  readonly stream: Pick<ResumableStream, "state" | "token" | "seq" | "requestId" | "stats" | "disconnect" | "cancel">;
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: ResumableMessageEvent) => unknown) | null;
  onerror: ((event: ResumableErrorEvent) => unknown) | null;
  ongap: ((event: ResumableGapEvent) => unknown) | null;
  onsnapshot: ((event: ResumableSnapshotEvent) => unknown) | null;
  onrestart: ((event: Event) => unknown) | null;
  onend: ((event: ResumableEndEvent) => unknown) | null;
  addEventListener<K extends keyof ResumableEventSourceEventMap>(
    type: K,
    listener: (event: ResumableEventSourceEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** An event's own name. */
  addEventListener(
    type: string,
    listener: ((event: ResumableMessageEvent) => unknown) | EventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  close(): void;
}
