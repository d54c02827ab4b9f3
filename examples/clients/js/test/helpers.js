// A server in a function: what `fetch` answers is said call by call.
import { resumable } from "../resumable.js";

export const TOKEN = `rg${"A".repeat(72)}`;
/** A token at a seq, as a test can tell it: of the right form, and never parsed by the client. */
export const tokenAt = (seq) => `${TOKEN.slice(0, 66)}${String(seq).padStart(8, "0")}`;

/** What a connection that is reset throws. */
export const reset = () => new TypeError("terminated");
export const bytes = (text) => new TextEncoder().encode(text);

/** A response of `chunks`: texts, byte arrays, promises to wait for, errors to end with. */
export function streamed(chunks, { status = 200, headers = {}, hold = false } = {}) {
  const rest = [...chunks];
  const body = new ReadableStream(
    {
      async pull(controller) {
        const chunk = await rest.shift();
        if (chunk === undefined && hold) return new Promise(() => {});
        if (chunk === undefined) controller.close();
        else if (chunk instanceof Error) controller.error(chunk);
        else controller.enqueue(typeof chunk === "string" ? bytes(chunk) : chunk);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status, headers: { "content-type": "text/event-stream", ...headers } });
}

export const control = (phase, members = {}, id = null) =>
  `event: resume\ndata: ${JSON.stringify({ phase, ...members })}\n${id ? `id: ${id}\n` : ""}\n`;
export const open = (members = {}) =>
  control(
    "open",
    { token: tokenAt(0), request_id: "the-request", expires_at: Date.now() + 900_000, ...members },
    tokenAt(0),
  );
export const replay = (from, members = {}) =>
  control(
    "replay",
    {
      token: tokenAt(from),
      request_id: "the-request",
      expires_at: Date.now() + 900_000,
      mode: "live",
      from,
      first: 1,
      last: 9,
      status: "running",
      ...members,
    },
    tokenAt(from),
  );
export const event = (seq, data = `d${seq}`) => `data: ${data}\nid: ${tokenAt(seq)}\n\n`;
export const end = (seq, status = "complete") => control("end", { status, seq, diagnostics: {} }, tokenAt(seq));

/** A `fetch` that gives one answer a call: a response, an error to throw, or a function of the call. */
export function server(...answers) {
  const calls = [];
  const fetch = async (url, init) => {
    const headers = Object.fromEntries(new Headers(init.headers));
    const call = { url, method: init.method, headers, body: init.body, init };
    calls.push(call);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    const given = await (typeof answer === "function" ? answer(call, calls.length) : answer);
    if (given instanceof Error) throw given;
    // The last answer is given again and again.
    return given.ok ? given : given.clone();
  };
  return { fetch, calls };
}

export const problem = (status, code, headers = {}) =>
  new Response(code === undefined ? "no" : JSON.stringify({ code }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });

/** A page in place of a stream. */
export const html = () => new Response("<html>", { headers: { "content-type": "text/html" } });

/** What was seen, in short: the events' seqs, and the types of all else. */
export const seqs = (seen) => seen.map((one) => (one.type === "event" ? one.seq : one.type));

/** All that a stream yields; and what it throws, as `error`. */
export async function collect(stream) {
  const seen = [];
  let error = null;
  try {
    for await (const one of stream) seen.push(one);
  } catch (thrown) {
    error = thrown;
  }
  return { seen, error };
}

export const URL_ = "http://stream.test/draft?key=secret-in-the-query";

/** A stream over a made-up server, that loses no time. */
export const quick = (fetch, options = {}) => resumable(URL_, { fetch, retry: { base: 0, max: 0 }, ...options });

/** Lets everything happen that needs no time. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

/** Takes all of a stream in the background. */
export function follow(stream) {
  const followed = { seen: [], error: null, done: false };
  followed.finished = (async () => {
    try {
      for await (const one of stream) followed.seen.push(one);
    } catch (error) {
      followed.error = error;
    }
    followed.done = true;
    return followed;
  })();
  return followed;
}
