// Reading no more than can be given away, and leaving in every state without a trace.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { resumable } from "../resumable.js";
import {
  collect,
  control,
  end,
  event,
  follow,
  open,
  problem,
  quick,
  replay,
  server,
  settle,
  streamed,
  tokenAt,
} from "./helpers.js";

test("a consumer that takes nothing is read ahead of by maxBuffered events, whatever their chunks", async () => {
  for (const perChunk of [1, 7, 1000]) {
    let pulled = 0;
    const body = new ReadableStream(
      {
        pull(controller) {
          pulled += perChunk;
          controller.enqueue(new TextEncoder().encode(event(0, "x").repeat(perChunk)));
        },
      },
      { highWaterMark: 0 },
    );
    const { fetch } = server(new Response(body, { headers: { "content-type": "text/event-stream" } }));
    const stream = quick(fetch, { maxBuffered: 10 });
    await stream.next();
    await settle();
    assert.ok(stream.stats.received <= 11, `${stream.stats.received} events were taken from the stream`);
    assert.ok(pulled <= 11 + perChunk, `${pulled} were pulled, ${perChunk} at a time`);
    const before = stream.stats.received;
    for (let taken = 0; taken < 5; taken += 1) await stream.next();
    await settle();
    assert.equal(stream.stats.received, before + 5, "and goes on as it takes");
    stream.close();
  }
});

test("large events are read ahead of by their bytes", async () => {
  const large = event(0, "x".repeat(1000));
  const { fetch } = server(streamed(Array(100).fill(large)));
  const stream = quick(fetch, { maxEventBytes: 3000 });
  await stream.next();
  await settle();
  assert.ok(stream.stats.received <= 5, `${stream.stats.received}`);
  stream.close();
});

test("a consumer that is slow is not taken for a connection that is silent", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { fetch, calls } = server(streamed([open(), event(1), event(2), event(3), end(3)]));
  const stream = quick(fetch, { maxBuffered: 1 });
  await stream.next();
  await settle();
  t.mock.timers.tick(3_600_000);
  await settle();
  const { seen } = await collect(stream);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ["event", "event", "end"],
  );
  assert.equal(calls.length, 1);
});

test("several takers share a stream, each event goes to one", async () => {
  const { fetch } = server(streamed([open(), event(1), event(2), end(2)]));
  const stream = quick(fetch);
  const all = await Promise.all([stream.next(), stream.next(), stream.next(), stream.next()]);
  assert.deepEqual(
    all.map(({ value, done }) => value?.seq ?? done),
    [1, 2, 2, true],
  );
});

test("`break` leaves: the request is aborted, and the stream is closed", async () => {
  const { fetch, calls } = server(streamed([open(), event(1)], { hold: true }));
  const stream = quick(fetch);
  for await (const one of stream) {
    assert.equal(one.seq, 1);
    break;
  }
  assert.equal(stream.state, "closed");
  assert.equal(calls[0].init.signal.aborted, true);
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});

/** What keeps a process alive, but for what was there before. */
const handles = () =>
  process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name === "TCPSocketWrap").length;

/** A client in each of its states, on the way of being left. */
const STATES = {
  "before the first event is asked for": () => ({ answers: [streamed([])], begin: false }),
  "before the head": () => ({ answers: [() => new Promise(() => {})], state: "connecting" }),
  "before the head of a resume": () => ({
    answers: [streamed([open(), event(1)]), () => new Promise(() => {})],
    state: "connecting",
  }),
  "while it waits": () => ({ answers: [problem(503, "x", { "retry-after": "100" })], state: "waiting" }),
  "while it reads": () => ({ answers: [streamed([open(), event(1)], { hold: true })], state: "open" }),
  "while headers are made": () => ({
    answers: [streamed([])],
    options: { headers: () => new Promise(() => {}) },
    state: "connecting",
  }),
  "while storage is asked": () => ({
    answers: [streamed([])],
    options: { storage: { get: () => new Promise(() => {}) } },
    state: "idle",
  }),
  "while an error's body comes": () => ({
    answers: [streamed([], { hold: true, status: 500, headers: { "content-type": "application/json" } })],
    state: "connecting",
  }),
  "by a fetch that knows no signal": () => ({
    answers: [streamed([open(), event(1)], { hold: true })],
    state: "open",
    deaf: true,
  }),
};

for (const [when, make] of Object.entries(STATES)) {
  for (const way of ["close", "abort", "return", "two of them"]) {
    test(`left ${when}, by ${way}: no handle and no rejection is left`, async (t) => {
      const faults = [];
      const note = (error) => faults.push(error);
      process.on("unhandledRejection", note);
      t.after(() => process.off("unhandledRejection", note));
      const { answers, options, begin = true, state, deaf } = make();
      const made = server(...answers);
      const fetch = deaf ? (url, init) => made.fetch(url, { ...init, signal: undefined }) : made.fetch;
      const aborting = new AbortController();
      const before = handles();
      const stream = quick(fetch, { signal: aborting.signal, ...options });
      const followed = begin ? follow(stream) : null;
      await settle();
      if (state === "connecting")
        for (let turn = 0; stream.state !== "connecting" && turn < 1000; turn += 1) await settle();
      if (state) assert.equal(stream.state, state);
      if (way === "close") stream.close();
      if (way === "return") await stream.return();
      if (way === "abort" || way === "two of them") aborting.abort(new Error("why not"));
      if (way === "two of them") stream.close();
      const isAborted = way === "abort" || way === "two of them";
      if (followed) {
        await followed.finished;
        if (isAborted) assert.equal(followed.error.code, "aborted");
        else assert.equal(followed.error, null);
        assert.equal(stream.state, "closed");
      } else if (isAborted && way === "abort") {
        await assert.rejects(stream.next(), (error) => error.code === "aborted" && error.cause.message === "why not");
      } else assert.deepEqual(await stream.next(), { value: undefined, done: true });
      await settle();
      assert.equal(handles(), before);
      assert.deepEqual(faults, []);
      assert.ok(made.calls.length <= answers.length);
      for (const { init } of deaf ? [] : made.calls) assert.equal(init.signal.aborted, true);
    });
  }
}

test("aborted from the start, nothing is sent", async () => {
  const { fetch, calls } = server(streamed([]));
  const { error } = await collect(quick(fetch, { signal: AbortSignal.abort() }));
  assert.equal(error.code, "aborted");
  assert.equal(calls.length, 0);
});

test("an answer that comes after the client has left is let go", async () => {
  let answer;
  let cancelled = false;
  const { fetch } = server(() => new Promise((resolve) => (answer = resolve)));
  const stream = quick(fetch);
  const followed = follow(stream);
  await settle();
  stream.close();
  const body = new ReadableStream({ cancel: () => (cancelled = true) });
  answer(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  await followed.finished;
  await settle();
  assert.equal(cancelled, true);
});

test("disconnect cuts the open connection, and it comes back where it was", async () => {
  const { fetch, calls } = server(
    streamed([open(), event(1)], { hold: true }),
    streamed([replay(1), event(2), end(2)]),
  );
  const states = [];
  const stream = quick(fetch, { method: "POST", onState: (state, { reason }) => states.push([state, reason]) });
  await stream.next();
  stream.disconnect();
  stream.disconnect();
  const { seen } = await collect(stream);
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    [2, 2],
  );
  assert.equal(calls.length, 2);
  assert.deepEqual(states[2], ["waiting", "disconnect"]);
});

test("disconnect before the head does nothing: whether the start has begun is not known", async () => {
  let answer;
  const { fetch, calls } = server(() => new Promise((resolve) => (answer = resolve)));
  const stream = quick(fetch, { method: "POST" });
  const followed = follow(stream);
  await settle();
  stream.disconnect();
  answer(streamed([open(), end(0)]));
  await followed.finished;
  assert.equal(followed.error, null);
  assert.equal(calls.length, 1);
});

test("what is read on after the end is nothing: the connection is let go", async () => {
  const { fetch, calls } = server(
    streamed([open(), end(0), control("open", { token: tokenAt(9) }), event(1)], { hold: true }),
  );
  const { seen } = await collect(quick(fetch));
  assert.deepEqual(
    seen.map(({ type }) => type),
    ["end"],
  );
  assert.equal(calls[0].init.signal.aborted, true);
});

test("a real server is held back by a consumer that takes nothing", async (t) => {
  let written = 0;
  const http = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const write = () => {
      while (!response.destroyed) {
        written += 10_000;
        if (!response.write(`data: ${"x".repeat(9990)}\n\n`)) return response.once("drain", write);
      }
    };
    write();
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => http.close());
  const stream = resumable(`http://127.0.0.1:${http.address().port}/`, { maxBuffered: 4 });
  await stream.next();
  // It has come to rest once nothing more is written for a while.
  for (let before = -1; before !== written;) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(stream.stats.received <= 6, `${stream.stats.received} events`);
  assert.ok(written < 50_000_000, `${written} bytes`);
  stream.close();
});
