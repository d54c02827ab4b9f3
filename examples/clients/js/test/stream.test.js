// Losses and what comes of them: the cursor, the requests, states and errors, over a made-up server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { resumable, ResumableError } from "../resumable.js";
import {
  bytes,
  collect,
  control,
  end,
  event,
  open,
  problem,
  quick,
  replay,
  server,
  streamed,
  tokenAt,
  URL_,
} from "./helpers.js";

const reset = () => new TypeError("terminated");
const seqs = (seen) => seen.map((one) => (one.type === "event" ? one.seq : one.type));

test("a stream that is not cut is one request", async () => {
  const { fetch, calls } = server(streamed([open(), event(1), event(2), end(2)]));
  const stream = quick(fetch, {
    method: "post",
    headers: { authorization: "Bearer x" },
    body: "{}",
    credentials: "include",
  });
  assert.equal(stream.state, "idle");
  const { seen, error } = await collect(stream);
  assert.equal(error, null);
  assert.deepEqual(seen[0], { type: "event", event: "message", data: "d1", id: tokenAt(1), seq: 1 });
  assert.deepEqual(seen.at(-1), { type: "end", status: "complete", seq: 2, diagnostics: {} });
  assert.equal(stream.state, "ended");
  assert.equal(stream.token, tokenAt(2));
  assert.equal(stream.requestId, "the-request");
  assert.deepEqual(stream.stats, { received: 2, duplicates: 0, reconnects: 0, missed: 0 });
  const [{ method, headers, body, init }] = calls;
  assert.equal(calls.length, 1);
  assert.equal(method, "POST");
  assert.equal(body, "{}");
  assert.deepEqual(headers, { accept: "text/event-stream", authorization: "Bearer x" });
  assert.equal(init.cache, "no-store");
  assert.equal(init.credentials, "include");
});

test("nothing is sent before the first event is asked for", async () => {
  const { fetch, calls } = server(streamed([open()]));
  quick(fetch);
  await new Promise(setImmediate);
  assert.equal(calls.length, 0);
});

test("a reset, and a clean end before the end, are resumed by GET with the newest token, and nothing else of the start", async () => {
  const { fetch, calls } = server(
    streamed([open(), event(1), event(2), reset()]),
    streamed([replay(2), event(3)]),
    streamed([replay(3), control("live", { seq: 3, replayed: 0 }, tokenAt(3)), event(4), end(4)]),
  );
  const stream = quick(fetch, {
    method: "POST",
    body: "{}",
    headers: { authorization: "Bearer x", "content-type": "application/json" },
    resumeUrl: "/resume?a=1",
  });
  const { seen } = await collect(stream);
  assert.deepEqual(seqs(seen), [1, 2, 3, 4, "end"]);
  assert.deepEqual(stream.stats, { received: 4, duplicates: 0, reconnects: 2, missed: 0 });
  for (const [call, token] of [
    [calls[1], tokenAt(2)],
    [calls[2], tokenAt(3)],
  ]) {
    assert.equal(call.url, "http://stream.test/resume?a=1");
    assert.equal(call.method, "GET");
    assert.equal(call.body, undefined);
    assert.deepEqual(call.headers, { accept: "text/event-stream", authorization: "Bearer x", "x-resume-token": token });
  }
});

test("a function of headers is asked for every request", async () => {
  const { fetch, calls } = server(streamed([open(), event(1)]), streamed([replay(1), end(1)]));
  let asked = 0;
  await collect(quick(fetch, { headers: async () => [["authorization", `Bearer ${(asked += 1)}`]] }));
  assert.deepEqual(
    calls.map(({ headers }) => headers.authorization),
    ["Bearer 1", "Bearer 2"],
  );
});

test("one that fails ends a start, and delays a resume", async () => {
  const broken = new Error("no session");
  const start = await collect(quick(server().fetch, { headers: () => Promise.reject(broken) }));
  assert.equal(start.error.code, "start_failed");
  assert.equal(start.error.cause, broken);
  const { fetch, calls } = server(streamed([open(), event(1)]), streamed([replay(1), end(1)]));
  let asked = 0;
  const headers = () => {
    asked += 1;
    if (asked === 2) throw broken;
  };
  assert.deepEqual(seqs((await collect(quick(fetch, { headers }))).seen), [1, "end"]);
  assert.deepEqual([calls.length, asked], [2, 3]);
});

test("what comes again is dropped and counted", async () => {
  const { fetch } = server(
    streamed([open(), event(1), event(2), event(3)]),
    streamed([replay(1), event(2), event(3), event(4), end(4)]),
  );
  const stream = quick(fetch);
  assert.deepEqual(seqs((await collect(stream)).seen), [1, 2, 3, 4, "end"]);
  assert.deepEqual(stream.stats, { received: 4, duplicates: 2, reconnects: 1, missed: 0 });
});

test("a token that is behind what was delivered is corrected by X-Resume-From", async () => {
  const { fetch, calls } = server(
    streamed([open(), event(1), event(2), event(3)]),
    streamed([replay(1), event(2), reset()]),
    streamed([replay(3), event(4), end(4)]),
  );
  assert.deepEqual(seqs((await collect(quick(fetch))).seen), [1, 2, 3, 4, "end"]);
  assert.deepEqual(
    calls.map(({ headers }) => headers["x-resume-from"]),
    [undefined, undefined, "3"],
  );
});

test("without ids, events are counted: the token of the head, and X-Resume-From", async () => {
  const { fetch, calls } = server(
    streamed(["data: a\n\ndata: b\n\n"], {
      headers: { "x-resume-token": tokenAt(0), "x-resume-stream": "the-stream" },
    }),
    streamed([
      control("replay", { from: 2, token: tokenAt(2) }),
      "data: c\n\n",
      control("end", { status: "complete", seq: 3 }),
    ]),
  );
  const stream = quick(fetch, { method: "POST" });
  const { seen } = await collect(stream);
  assert.deepEqual(
    seen.map((one) => one.data ?? one.type),
    ["a", "b", "c", "end"],
  );
  assert.equal(stream.requestId, "the-stream");
  assert.equal(calls[1].headers["x-resume-token"], tokenAt(0));
  assert.equal(calls[1].headers["x-resume-from"], "2");
});

test("ids of the application are no tokens, whatever they look like", async () => {
  const ids = [
    "42",
    "550e8400-e29b-41d4-a716-446655440000",
    "x".repeat(80),
    "r".repeat(39),
    `r${"!".repeat(80)}`,
    "r".repeat(151),
  ];
  for (const id of ids) {
    const { fetch, calls } = server(streamed([open(), `id: ${id}\ndata: a\n\n`]), streamed([replay(1), end(1)]));
    const { seen } = await collect(quick(fetch));
    assert.equal(seen[0].id, id);
    assert.equal(calls[1].headers["x-resume-token"], tokenAt(0), id);
    assert.equal(calls[1].headers["x-resume-from"], "1");
    assert.equal(calls[1].headers["last-event-id"], undefined);
  }
});

test("a block that is no event counts as one: the server counts it, too", async () => {
  const { fetch, calls } = server(
    streamed([open(), `event: x\nid: ${tokenAt(1)}\n\n`, ": comment\n\n", `foo\nid: ${tokenAt(2)}\n\n`, event(3)]),
    streamed([replay(3), end(3)]),
  );
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(seqs(seen), [3, "end"]);
  assert.equal(calls[1].headers["x-resume-from"], undefined);
});

test("control events may be comments, of another name too, and whole ones only", async () => {
  const { fetch } = server(
    streamed([
      `: going {"phase":"open","token":"${tokenAt(0)}"}\n\n: going on\n\n: going {bad\n\n`,
      event(1),
      ': going {"phase":"gap","from":2,"to":3,"reason":"oversize"}\n\n',
    ]),
    streamed([
      `: going {"phase":"replay","from":3}\n\n`,
      event(4),
      ': going {"phase":"end","status":"error","seq":4}\n\n',
    ]),
  );
  const stream = quick(fetch, { controlEvent: "going" });
  const { seen } = await collect(stream);
  assert.deepEqual(seqs(seen), [1, "gap", 4, "end"]);
  assert.equal(stream.state, "ended");
});

test("an event with the name of control events, which is none, is the application's", async () => {
  const mine = ["not json", "[]", "null", '"phase"', '{"phase":1}', "{}"];
  const { fetch } = server(streamed([open(), ...mine.map((data) => `event: resume\ndata: ${data}\n\n`), end(6)]));
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(
    seen.slice(0, -1).map(({ event, data }) => [event, data]),
    mine.map((data) => ["resume", data]),
  );
});

test("with `control`, all that the layer says is yielded, also what is not known yet", async () => {
  const { fetch } = server(
    streamed([
      open({ expires_at: 7 }),
      control("token", { token: tokenAt(0), expires_at: 8 }),
      control("new", { x: 1 }),
      event(1),
    ]),
    streamed([
      replay(1, { expires_at: 9 }),
      control("live", { seq: 1, replayed: 0 }),
      control("gap", { from: 2, to: 2, reason: "lost" }),
      end(2),
    ]),
  );
  const { seen } = await collect(quick(fetch, { control: true }));
  assert.deepEqual(
    seen.map(({ type }) => type),
    ["open", "token", "new", "event", "replay", "live", "gap", "end"],
  );
  assert.deepEqual(seen[0], { type: "open", token: tokenAt(0), request_id: "the-request", expires_at: 7 });
  assert.deepEqual(seen[5], { type: "live", seq: 1, replayed: 0 });
});

test("a gap moves the cursor, is told once, and counted", async () => {
  const gap = (from, to) => control("gap", { from, to, reason: "trimmed" }, tokenAt(to));
  const { fetch, calls } = server(
    streamed([open(), event(1), gap(2, 5), reset()]),
    // The gap may be a snapshot's, so its bounds are asked for again.
    streamed([replay(1), gap(2, 6), event(7), gap(8, 8), gap(9, 9), event(10), reset()]),
    streamed([replay(10), end(10)]),
  );
  const stream = quick(fetch);
  const { seen } = await collect(stream);
  assert.deepEqual(seqs(seen), [1, "gap", "gap", 7, "gap", "gap", 10, "end"]);
  assert.deepEqual(
    seen.filter(({ type }) => type === "gap").map(({ from, to }) => [from, to]),
    [
      [2, 5],
      [6, 6],
      [8, 8],
      [9, 9],
    ],
  );
  assert.deepEqual(stream.stats, { received: 3, duplicates: 0, reconnects: 2, missed: 7 });
  assert.deepEqual(
    calls.map(({ headers }) => headers["x-resume-from"]),
    [undefined, "1", undefined],
  );
});

test("a snapshot stands in for a gap; one that was cut is asked for again", async () => {
  const gap = control("gap", { from: 2, to: 8, reason: "trimmed" }, tokenAt(1));
  const announced = control("snapshot", { seq: 8, status: "complete" }, tokenAt(1));
  const { fetch, calls } = server(
    streamed([open(), event(1), reset()]),
    streamed([replay(1, { mode: "snapshot" }), gap, reset()]),
    streamed([replay(1, { mode: "snapshot" }), gap, announced, "event: complete\ndata: {\n", reset()]),
    streamed([
      replay(1, { mode: "snapshot" }),
      gap,
      announced,
      `event: complete\ndata: {\ndata: }\nid: ${tokenAt(8)}\n\n`,
      end(8),
    ]),
  );
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(seqs(seen), [1, "gap", "snapshot", "end"]);
  assert.deepEqual(seen[2], { type: "snapshot", seq: 8, status: "complete", event: "complete", data: "{\n}" });
  for (const { headers } of calls.slice(2)) assert.equal(headers["x-resume-from"], "1");
});

test("events after a state are counted from it", async () => {
  const { fetch, calls } = server(
    streamed([open(), event(1), reset()]),
    streamed([
      replay(1),
      control("gap", { from: 2, to: 8, reason: "trimmed" }),
      control("snapshot", { seq: 8, status: "running" }),
      "event: state\ndata: s\n\n",
      "data: 9\n\n",
      reset(),
    ]),
    streamed([replay(9), end(9)]),
  );
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(seqs(seen), [1, "gap", "snapshot", 9, "end"]);
  assert.equal(calls[2].headers["x-resume-from"], "9");
});

test("a server that jumps ahead without a word does not do so unnoticed", async () => {
  const { fetch } = server(streamed([open(), event(1)]), streamed([replay(4), event(5), end(5)]));
  const stream = quick(fetch);
  const { seen } = await collect(stream);
  assert.deepEqual(seen[1], { type: "gap", from: 2, to: 4, reason: "lost" });
  assert.equal(stream.stats.missed, 3);
});

test("a start that joins a running stream begins where the server says", async () => {
  const { fetch, calls } = server(streamed([replay(5), event(6)]), streamed([replay(6), end(6)]));
  assert.deepEqual(seqs((await collect(quick(fetch, { method: "POST" }))).seen), [6, "end"]);
  assert.equal(calls[1].headers["x-resume-from"], undefined);
});

test("senseless numbers are passed over", async () => {
  const senseless = [
    control("gap", { from: 5, to: 2 }),
    control("gap", { from: "a", to: {} }),
    control("gap"),
    control("snapshot", { seq: -1 }),
    "data: s\n\n",
    control("replay", { from: 1e300 }),
  ];
  const { fetch } = server(streamed([open(), ...senseless, event(1), end(1)]));
  const { seen, error } = await collect(quick(fetch));
  assert.equal(error, null);
  assert.deepEqual(seqs(seen), ["snapshot", 1, "end"]);
});

test("`wait` is obeyed, by the token that it brings", async () => {
  const { fetch, calls } = server(
    streamed([open(), event(1)]),
    streamed([control("wait", { token: tokenAt(1), reason: "store_unavailable" }, tokenAt(1)), reset()]),
    streamed([replay(1), end(1)]),
  );
  const states = [];
  const { seen } = await collect(
    quick(fetch, { retry: { base: 2, max: 2 }, onState: (state, { reason }) => states.push([state, reason]) }),
  );
  assert.deepEqual(seqs(seen), [1, "end"]);
  assert.equal(calls.length, 3);
  assert.ok(states.some(([state, reason]) => state === "waiting" && reason === "wait"));
});

test("a stream without the layer: GET goes on by Last-Event-ID", async () => {
  const { fetch, calls } = server(
    streamed(["id: é1\ndata: a\n\n"]),
    streamed(["data: b\n\n"]),
    new Response(null, { status: 204 }),
  );
  const stream = quick(fetch);
  const { seen, error } = await collect(stream);
  assert.equal(error, null);
  assert.deepEqual(
    seen.map(({ data, id }) => [data, id]),
    [
      ["a", "é1"],
      ["b", "é1"],
    ],
  );
  assert.equal(stream.state, "ended");
  const sent = calls.map(({ headers }) => headers["last-event-id"]);
  assert.deepEqual(sent, [undefined, String.fromCharCode(...bytes("é1")), String.fromCharCode(...bytes("é1"))]);
});

test("a stream without the layer: POST is not sent twice, with a key neither once something has come", async () => {
  for (const options of [{}, { idempotencyKey: "k" }]) {
    const { fetch, calls } = server(streamed(["data: a\n\n"], { headers: { "x-resume-degraded": "no-secret" } }));
    const { seen, error } = await collect(quick(fetch, { method: "POST", ...options }));
    assert.deepEqual(seqs(seen), [1]);
    assert.equal(error.code, "not_resumable");
    assert.match(error.message, /no-secret/);
    assert.equal(calls.length, 1);
  }
});

test("a later answer with the layer is a new stream, none of whose events are taken for old ones", async () => {
  const { fetch } = server(streamed(["data: a\n\ndata: b\n\n"]), streamed([open(), "data: c\n\n", end(1)]));
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(
    seen.map((one) => one.data ?? one.type),
    ["a", "b", "c", "end"],
  );
});

test("a POST whose answer is lost is sent again with a key only, the same one, which never goes along with a token", async () => {
  const { fetch, calls } = server(
    reset(),
    problem(409, "in_progress"),
    reset(),
    streamed([replay(0), event(1)]),
    streamed([replay(1), end(1)]),
  );
  const { seen } = await collect(quick(fetch, { method: "POST", body: "{}", idempotencyKey: true }));
  assert.deepEqual(seqs(seen), [1, "end"]);
  const keys = calls.map(({ headers }) => headers["idempotency-key"]);
  assert.match(keys[0], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(keys, [keys[0], keys[0], keys[0], keys[0], undefined]);

  const without = server(reset());
  const { error } = await collect(quick(without.fetch, { method: "POST" }));
  assert.equal(error.code, "start_failed");
  assert.match(error.message, /idempotencyKey/);
  assert.equal(without.calls.length, 1);
});

test("a start that was turned away is made again by every method; one that may have begun is not", async () => {
  for (const [status, code] of [[429], [503], [409, "in_progress"]]) {
    const { fetch, calls } = server(problem(status, code), streamed([open(), end(0)]));
    assert.equal((await collect(quick(fetch, { method: "POST" }))).error, null, status);
    assert.equal(calls.length, 2);
  }
  for (const status of [408, 425, 500, 502, 504]) {
    const post = await collect(quick(server(problem(status)).fetch, { method: "POST" }));
    assert.equal(post.error.code, "start_failed");
    assert.equal(post.error.status, status);
    for (const options of [{}, { method: "POST", idempotencyKey: "k" }]) {
      const { fetch } = server(problem(status), streamed([open(), end(0)]));
      assert.equal((await collect(quick(fetch, options))).error, null, status);
    }
  }
});

test("a body that is a stream is sent once", async () => {
  const body = new ReadableStream({ pull: (controller) => controller.close() });
  const { fetch, calls } = server(problem(503), streamed([]));
  const { error } = await collect(quick(fetch, { method: "POST", body, idempotencyKey: "k" }));
  assert.equal(error.code, "start_failed");
  assert.equal(calls.length, 1);
  assert.equal(calls[0].init.duplex, "half");
});

test("204 is the end of it: of a start, and of a resume", async () => {
  const start = await collect(quick(server(new Response(null, { status: 204 })).fetch));
  assert.deepEqual(start, { seen: [], error: null });
  const { fetch, calls } = server(streamed([open(), event(1)]), new Response(null, { status: 204 }));
  const stream = quick(fetch);
  assert.deepEqual(seqs((await collect(stream)).seen), [1]);
  assert.equal(stream.state, "ended");
  assert.equal(calls.length, 2);
});

test("what passes by itself is waited for", async () => {
  const html = () => new Response("<html>", { headers: { "content-type": "text/html" } });
  for (const answer of [
    ...[408, 425, 429, 500, 502, 503, 504].map((status) => () => problem(status, "x")),
    html,
    () => reset(),
  ]) {
    const { fetch, calls } = server(
      streamed([open(), event(1)]),
      answer(),
      answer(),
      answer(),
      streamed([replay(1), end(1)]),
    );
    assert.deepEqual(seqs((await collect(quick(fetch))).seen), [1, "end"]);
    assert.equal(calls.length, 5);
  }
});

/** Each way for a stream to end in an error: what was answered, with which options. */
const html = () => new Response("<html>", { headers: { "content-type": "text/html" } });
const lost = () => streamed([open(), event(1)]);
const ENDS = [
  [
    "unauthorized",
    [lost(), problem(401, "token_expired")],
    {},
    { status: 401, problem: "token_expired", needsNewStart: true },
  ],
  [
    "gone",
    [lost(), problem(426, "stream_expired")],
    {},
    { status: 426, problem: "stream_expired", needsNewStart: true },
  ],
  ["gone", [lost(), problem(410, "stream_expired")], {}, { status: 410, needsNewStart: true }],
  ["unauthorized", [lost(), reset()], { expired: true }, { status: null, needsNewStart: true }],
  ["refused", [lost(), problem(400, "bad_cursor")], {}, { status: 400, problem: "bad_cursor", needsNewStart: false }],
  ["refused", [lost(), problem(403, "not_allowed")], {}, { status: 403 }],
  ["refused", [lost(), problem(404)], {}, { status: 404, problem: null }, /resumeUrl/],
  ["refused", [lost(), problem(405)], {}, { status: 405 }, /resumeUrl/],
  ["refused", [lost(), problem(409, "in_progress")], {}, { status: 409 }],
  ["refused", [lost(), problem(422, "x y\nz".repeat(20))], {}, { status: 422, problem: null }],
  ["refused", [lost(), problem(501)], {}, { status: 501 }],
  ["refused", [problem(404)], {}, { status: 404 }, /URL/],
  ["refused", [problem(422, "key_reused")], { method: "POST" }, { status: 422, problem: "key_reused" }],
  ["refused", [problem(409, "other")], {}, { status: 409 }],
  ["unauthorized", [problem(401)], {}, { status: 401 }, /headers/],
  ["not_event_stream", [html()], {}, { status: 200 }, /text\/html/],
  ["not_event_stream", [lost(), html(), html(), html(), html()], {}, { status: 200 }, /text\/html/],
  ["not_event_stream", [new Response(bytes("x"))], {}, { status: 200 }, /no content type/],
  ["start_failed", [reset()], { method: "POST" }, { status: null }, /idempotencyKey/],
  ["not_resumable", [streamed(["data: a\n\n"])], { method: "POST" }, { status: null }],
  ["gave_up", [reset()], { retry: { base: 0, attempts: 3 } }, { status: null }, /3 attempts/],
  ["gave_up", [lost(), problem(503)], { retry: { base: 0, attempts: 3 } }, { status: 503 }, /503/],
  [
    "too_large",
    [streamed([open(), "data: aaaaa\n\n"])],
    { maxEventBytes: 300, big: true },
    { status: null },
    /maxEventBytes/,
  ],
];

for (const [index, [code, answers, { expired, big, ...options }, members, text]] of ENDS.entries()) {
  test(`error ${index + 1}: ${code} ${members.status ?? ""}`, async () => {
    if (expired) answers[0] = streamed([open({ expires_at: Date.now() - 1000 }), event(1)]);
    if (big) answers[0] = streamed([open(), `data: ${"x".repeat(400)}\n\n`]);
    const { fetch } = server(...answers);
    const states = [];
    const stream = quick(fetch, { ...options, onState: (state, detail) => states.push([state, detail]) });
    const { error } = await collect(stream);
    assert.ok(error instanceof ResumableError);
    assert.equal(error.code, code, error.message);
    for (const [name, value] of Object.entries(members)) assert.equal(error[name], value, name);
    if (text) assert.match(error.message, text);
    assert.equal(stream.state, "failed");
    assert.deepEqual(states.at(-1), ["failed", { error }]);
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
    // Neither it nor the stream tells a token, or what the URL's query says.
    for (const shown of [
      error.message,
      String(error),
      inspect(error),
      JSON.stringify(error),
      inspect(stream, { depth: 9 }),
      JSON.stringify(stream),
    ]) {
      assert.doesNotMatch(shown, /rgAAA|secret/);
    }
    assert.ok(code === "gave_up" || error.message.length > 20);
  });
}

test("an error comes after all events that came before it", async () => {
  const { fetch } = server(streamed([open(), event(1) + event(2) + event(3)]), problem(401));
  const { seen, error } = await collect(quick(fetch));
  assert.deepEqual(seqs(seen), [1, 2, 3]);
  assert.equal(error.code, "unauthorized");
});

test("with `restart`, what cannot be had any more begins anew, and says so first; with another key", async () => {
  for (const status of [401, 410, 426]) {
    const { fetch, calls } = server(lost(), problem(status, "x"), streamed([open(), event(1), event(2), end(2)]));
    const stream = quick(fetch, { method: "POST", body: "{}", restart: true, idempotencyKey: true });
    const { seen, error } = await collect(stream);
    assert.equal(error, null);
    assert.deepEqual(seqs(seen), [1, "restart", 1, 2, "end"]);
    assert.deepEqual(
      calls.map(({ method }) => method),
      ["POST", "GET", "POST"],
    );
    assert.equal(calls[2].headers["x-resume-token"], undefined);
    assert.notEqual(calls[2].headers["idempotency-key"], calls[0].headers["idempotency-key"]);
  }
});

test("a restart is no way round a start that is refused", async () => {
  const { fetch, calls } = server(lost(), problem(401), problem(401));
  const { error } = await collect(quick(fetch, { restart: true }));
  assert.equal(error.code, "unauthorized");
  assert.equal(calls.length, 3);
});

test("a URL that cannot be fetched is told at once, and not repeated", () => {
  for (const url of ["not a url secret", "/path?secret", "ftp://x/secret", "http://user:secret@host/", ""]) {
    assert.throws(
      () => resumable(url),
      (error) => error.code === "bad_url" && !/secret/.test(error.message),
      url,
    );
  }
  assert.throws(() => resumable(URL_, { resumeUrl: "javascript:secret" }), { code: "bad_url" });
  resumable(new URL(URL_));
});

test("so is what cannot be sent, in the platform's words", () => {
  assert.throws(() => resumable(URL_, { body: "GET has none" }), TypeError);
  assert.throws(() => resumable(URL_, { headers: { "a b": "c" } }), TypeError);
  assert.throws(() => resumable(URL_, { method: "a b", body: "x" }), TypeError);
});

test("cancel stops the stream by its token, and the stream says that it was cancelled", async () => {
  let ended;
  const cancelled = new Promise((resolve) => (ended = resolve));
  const { fetch, calls } = server(streamed([open(), event(1), cancelled]), () => {
    ended(end(1, "cancelled"));
    return new Response(null, { status: 204 });
  });
  const stream = quick(fetch, { method: "POST", resumeUrl: "/resume", headers: { authorization: "Bearer x" } });
  await assert.rejects(stream.cancel(), { code: "not_resumable" });
  await stream.next();
  assert.equal(await stream.cancel(), "ended");
  assert.equal((await stream.next()).value.status, "cancelled");
  assert.deepEqual(
    [calls[1].method, calls[1].url, calls[1].headers],
    ["DELETE", "http://stream.test/resume", { authorization: "Bearer x", "x-resume-token": tokenAt(1) }],
  );
  assert.equal(await stream.cancel(), "ended");
  assert.equal(calls.length, 2);
});

test("cancel tells `asked`, and errors; it tries three times", async () => {
  const cancel = async (...answers) => {
    const { fetch, calls } = server(streamed([open(), event(1)], { hold: true }), ...answers);
    const stream = quick(fetch);
    await stream.next();
    try {
      return [await stream.cancel(), calls.length - 1];
    } catch (error) {
      assert.ok(error instanceof ResumableError, error);
      return [error.code, error.status, calls.length - 1];
    } finally {
      stream.close();
    }
  };
  assert.deepEqual(await cancel(new Response(null, { status: 202 })), ["asked", 1]);
  assert.deepEqual(await cancel(problem(503), reset(), new Response(null, { status: 204 })), ["ended", 3]);
  assert.deepEqual(await cancel(problem(403, "not_allowed")), ["refused", 403, 1]);
  assert.deepEqual(await cancel(problem(401, "token_expired")), ["unauthorized", 401, 1]);
  assert.deepEqual(await cancel(problem(405)), ["refused", 405, 1]);
  assert.deepEqual(await cancel(problem(503)), ["gave_up", 503, 3]);
  assert.deepEqual(await cancel(reset()), ["gave_up", null, 3]);
  assert.deepEqual(await cancel(html(), html(), html()), ["gave_up", 200, 3]);
});

test("states come in order, each once, and an observer that fails harms nothing", async (t) => {
  const faults = [];
  const uncaught = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => faults.push(error.message));
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of uncaught) process.on("uncaughtException", listener);
  });
  t.mock.method(Math, "random", () => 0.5);
  const { fetch } = server(streamed([open(), event(1)]), problem(503), streamed([replay(1), end(1)]));
  const states = [];
  const stream = quick(fetch, {
    retry: { base: 3, max: 3 },
    onState(state) {
      states.push(state);
      throw new Error(`observer at ${state}`);
    },
  });
  assert.deepEqual(seqs((await collect(stream)).seen), [1, "end"]);
  await new Promise(setImmediate);
  assert.deepEqual(states, ["connecting", "open", "waiting", "connecting", "waiting", "connecting", "open", "ended"]);
  assert.equal(faults.length, states.length);
});
