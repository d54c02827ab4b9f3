// Never run: checked by tsc. Every public name is used as an application would.
import {
  resumable,
  ResumableError,
  ResumableEventSource,
  storageOf,
  type ResumableErrorCode,
  type ResumableEvent,
  type ResumableOptions,
  type ResumableState,
  type ResumableStorage,
} from "tower-resume-client";

const options: ResumableOptions = {
  method: "POST",
  headers: async () => ({ authorization: "Bearer fresh" }),
  body: new FormData(),
  signal: AbortSignal.timeout(1000),
  credentials: "include",
  fetch: (url, init) => fetch(url, init),
  resumeUrl: new URL("https://example.com/resume"),
  resumeMethod: "POST",
  idempotencyKey: true,
  storage: storageOf(sessionStorage),
  storageKey: "draft",
  from: "start",
  restart: true,
  controlEvent: "resume",
  idleTimeout: 0,
  retry: { attempts: 3 },
  maxBuffered: 1,
  maxEventBytes: 1024,
  onState(state: ResumableState, { delay, error }) {
    const text: string = `${state} ${delay?.toFixed()} ${error?.code}`;
    void text;
  },
};

const memory = new Map<string, string>();
export const storage: ResumableStorage = {
  get: async (key) => memory.get(key),
  set: (key, value) => memory.set(key, value),
  remove: (key) => memory.delete(key),
};

export async function read(): Promise<ResumableErrorCode | null> {
  const stream = resumable("/draft", options);
  try {
    for await (const event of stream) show(event);
  } catch (error) {
    if (error instanceof ResumableError) return error.needsNewStart ? null : error.code;
    throw error;
  }
  const outcome: "ended" | "asked" = await stream.cancel();
  stream.disconnect();
  stream.close();
  const { received, duplicates, reconnects, missed } = stream.stats;
  const facts: (number | string | null)[] = [received, duplicates, reconnects, missed, stream.seq, stream.token];
  void [outcome, facts, stream.state === "ended", stream.requestId];
  // @ts-expect-error a token is the server's to give
  stream.token = "mine";
  return null;
}

function show(event: ResumableEvent): string | number {
  switch (event.type) {
    case "event":
      return `${event.event} ${event.data} ${event.id} ${event.seq + 1}`;
    case "gap":
      return event.to - event.from + event.reason.length;
    case "snapshot":
      return event.data + event.seq.toFixed() + event.status + event.event;
    case "end":
      return event.status + event.diagnostics.correlation_id + event.diagnostics.resumes.toFixed();
    case "restart":
      return 0;
  }
}

export async function readControl(): Promise<void> {
  for await (const event of resumable("/draft", { control: true })) {
    if (event.type === "open") void event.expires_at.toFixed();
    else if (event.type === "live") void event.replayed.toFixed();
  }
  for await (const event of resumable("/draft")) {
    // @ts-expect-error only with `control: true`
    if (event.type === "live") void event;
  }
}

export function listen(): void {
  const source = new ResumableEventSource("/draft", { withCredentials: true, retry: { base: 1 } });
  source.onopen = (event) => void event.timeStamp;
  source.onmessage = ({ data, lastEventId, seq }) => void [data.length, lastEventId.length, seq.toFixed()];
  source.onerror = ({ error, fatal, message }) => void [error?.code, fatal === true, message.length];
  source.onend = ({ status, seq }) => void [status?.length, seq.toFixed()];
  source.ongap = ({ from, to }) => void (to - from);
  source.onsnapshot = null;
  source.onrestart = null;
  source.addEventListener("node", (event) => void event.data.length);
  source.addEventListener("gap", (event) => void event.from.toFixed());
  source.addEventListener("snapshot", (event) => void event.data.length);
  void (source.readyState === ResumableEventSource.OPEN && source.url.length);
  void [source.withCredentials, source.stream.stats.received, source.CLOSED];
  source.close();
  // @ts-expect-error not a code
  new ResumableError("other", "text");
}
