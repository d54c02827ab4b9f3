// Losses and what comes of them: the requests, events, gaps, snapshots and states, over a made-up server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ResumableError } from "../resumable.js";
import {
  collect,
  control,
  end,
  event,
  html,
  open,
  problem,
  quick,
  replay,
  reset,
  seqs,
  server,
  streamed,
  tokenAt,
} from "./helpers.js";

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

test("a loss is told of also where the clock has jumped over the wait", async (t) => {
  let now = Date.now();
  t.mock.method(Date, "now", () => (now += 5));
  const { fetch } = server(streamed([open(), event(1)]), streamed([replay(1), end(1)]));
  const states = [];
  await collect(quick(fetch, { onState: (state) => states.push(state) }));
  assert.deepEqual(states, ["connecting", "open", "waiting", "connecting", "open", "ended"]);
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
