// When a lost stream is asked for again: the clock and chance are the test's.
import assert from "node:assert/strict";
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
  replay,
  server,
  settle,
  streamed,
  URL_,
} from "./helpers.js";

const T0 = Date.UTC(2026, 0, 1);

/** A world whose time stands still; `after(ms)` says how many requests there are once so much has passed. */
function world(t, chance, answers, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: T0 });
  t.mock.method(Math, "random", () => chance);
  const { fetch, calls } = server(...answers);
  const stream = resumable(URL_, { fetch, ...options });
  const followed = follow(stream);
  t.after(() => stream.close());
  const after = async (ms) => {
    await settle();
    t.mock.timers.tick(ms);
    await settle();
    return calls.length;
  };
  return { stream, followed, calls, after };
}

const MOST = 1 - Number.EPSILON;
const lost = () => streamed([open(), event(1)]);
const down = () => new TypeError("fetch failed");

test("the span doubles from 1 s up to 30 s, and the most of it is never passed", async (t) => {
  const { after } = world(t, MOST, [lost(), down]);
  assert.equal(await after(0), 1);
  let calls = 1;
  for (const span of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]) {
    assert.equal(await after(span - 2), calls, `before ${span} ms`);
    calls += 1;
    assert.equal(await after(2), calls, `after ${span} ms`);
  }
});

test("half of the chance is half of the span, and none of it is next to no wait", async (t) => {
  const { after, calls } = world(t, 0.5, [lost(), down]);
  assert.equal(await after(0), 1);
  assert.equal(await after(499), 1);
  assert.equal(await after(2), 2);
  assert.equal(await after(998), 2);
  assert.equal(await after(2), 3);
  t.mock.method(Math, "random", () => 0);
  assert.equal(await after(2000), 4);
  for (let turn = 5; turn < 20; turn += 1) assert.equal(await after(1), turn);
  assert.equal(calls.length, 19);
});

test("an event makes it begin again; control events and what came before do not", async (t) => {
  const { after } = world(t, MOST, [
    lost(),
    down,
    down,
    () => streamed([replay(1)]),
    () => streamed([replay(1), event(2)]),
    down,
  ]);
  assert.equal(await after(0), 1);
  assert.equal(await after(1000), 2);
  assert.equal(await after(2000), 3);
  assert.equal(await after(4000), 4);
  assert.equal(await after(7998), 4, "an open connection without an event is no success");
  assert.equal(await after(2), 5);
  assert.equal(await after(998), 5);
  assert.equal(await after(2), 6, "an event is one");
});

test("`retry:` sets the base, also of a block without an event; senseless ones do not", async (t) => {
  const said = `retry: 250\n\n${event(1)}retry: 5x\nretry:\nretry: -1\ndata: x\n\n`;
  const { after } = world(t, MOST, [streamed([open(), said]), down]);
  assert.equal(await after(0), 1);
  assert.equal(await after(248), 1);
  assert.equal(await after(2), 2);
  assert.equal(await after(498), 2);
  assert.equal(await after(2), 3);
});

test("a `retry:` of 0 makes no client come back without a pause for ever, and a huge one is bounded", async (t) => {
  const zero = world(t, MOST, [streamed([open(), event(1), "retry: 0\n\n"]), down]);
  assert.equal(await zero.after(0), 1);
  assert.equal(await zero.after(8), 1);
  for (let turn = 0; turn < 20; turn += 1) await zero.after(1000);
  assert.ok(zero.calls.length < 15, `${zero.calls.length} requests in 20 s`);
  zero.stream.close();
  t.mock.timers.reset();
  const huge = world(t, MOST, [streamed([open(), event(1), `retry: ${"9".repeat(400)}\n\n`]), down]);
  assert.equal(await huge.after(0), 1);
  assert.equal(await huge.after(30_000), 2);
});

test("Retry-After is the least, in seconds and as a date", async (t) => {
  const date = new Date(T0 + 7000).toUTCString();
  const far = { date: new Date(T0 + 3_600_000).toUTCString(), "retry-after": new Date(T0 + 3_605_000).toUTCString() };
  for (const [headers, ms] of [
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": date }, 7000],
    [far, 5000],
  ]) {
    const { after, stream } = world(t, 0, [problem(503, "store_unavailable", headers), lost]);
    assert.equal(await after(0), 1);
    assert.equal(stream.state, "waiting");
    assert.equal(await after(ms - 1), 1, JSON.stringify(headers));
    assert.ok((await after(1)) > 1, JSON.stringify(headers));
    stream.close();
    t.mock.timers.reset();
  }
});

test("a Retry-After of the past, or of no sense, is none; one of years is an hour", async (t) => {
  for (const value of ["-5", "soon", "0", "1e9", new Date(T0 - 5000).toUTCString()]) {
    const { after, stream } = world(t, 0.5, [problem(429, "x", { "retry-after": value }), lost]);
    assert.equal(await after(0), 1);
    assert.ok((await after(500)) > 1, value);
    stream.close();
    t.mock.timers.reset();
  }
  const { after } = world(t, 0, [problem(429, "x", { "retry-after": "999999999999" }), lost]);
  assert.equal(await after(0), 1);
  assert.equal(await after(3_599_999), 1);
  assert.ok((await after(1)) > 1);
});

test("the jitter comes on top where it is longer than Retry-After", async (t) => {
  const { after } = world(t, MOST, [problem(503, "x", { "retry-after": "0" }), lost]);
  assert.equal(await after(998), 1);
  assert.equal(await after(2), 2);
});

test("a server that is gone for good is asked until the token is past its time, and no longer", async (t) => {
  const { after, followed } = world(t, MOST, [streamed([open({ expires_at: T0 + 100_000 }), event(1)]), down]);
  for (let turn = 0; turn < 9; turn += 1) await after(10_000);
  assert.equal(followed.error, null);
  for (let turn = 0; turn < 5; turn += 1) await after(10_000);
  assert.equal(followed.error.code, "unauthorized");
  assert.equal(followed.error.needsNewStart, true);
});

test("every token is good for as long as the first, so a long stream does not age", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: T0 });
  let later;
  const { fetch, calls } = server(
    streamed([open({ expires_at: T0 + 100_000 }), event(1), new Promise((resolve) => (later = resolve))]),
    down,
    streamed([replay(2), end(2)]),
  );
  const followed = follow(resumable(URL_, { fetch, idleTimeout: 0 }));
  await settle();
  t.mock.timers.tick(1_000_000);
  later(event(2));
  for (let turn = 0; turn < 10; turn += 1) {
    await settle();
    t.mock.timers.tick(1000);
  }
  await settle();
  assert.equal(calls.length, 3);
  assert.equal(followed.error, null);
  assert.equal(followed.done, true);
});

test("a clock that goes wrong does not keep a client from asking: only a failed attempt makes an old token final", async (t) => {
  const { after, followed } = world(t, 0, [
    streamed([open({ expires_at: T0 - 3_600_000 }), event(1)]),
    streamed([replay(1), end(1)]),
  ]);
  await after(0);
  await after(1);
  assert.equal(followed.error, null);
  assert.equal(followed.seen.at(-1).type, "end");
});

test("silence is a loss after 30 s; a byte of a comment is life", async (t) => {
  let more;
  const chunks = [open(), event(1), new Promise((resolve) => (more = resolve))];
  const { after, stream, calls } = world(t, 0, [streamed(chunks, { hold: true }), streamed([replay(1), end(1)])]);
  assert.equal(await after(29_000), 1);
  more(":");
  assert.equal(await after(29_000), 1);
  assert.equal(await after(999), 1);
  assert.equal(stream.state, "open");
  assert.equal(await after(1), 1);
  assert.equal(stream.state, "waiting");
  assert.equal(calls[0].init.signal.aborted, true);
  assert.equal(await after(1), 2);
});

test("idleTimeout sets it, 0 turns it off", async (t) => {
  const quick = world(t, 0, [streamed([open()], { hold: true }), () => streamed([replay(0)], { hold: true })], {
    idleTimeout: 50,
  });
  assert.equal(await quick.after(49), 1);
  assert.equal(await quick.after(1), 1);
  assert.equal(await quick.after(1), 2);
  quick.stream.close();
  t.mock.timers.reset();
  const never = world(t, 0, [streamed([open()], { hold: true })], { idleTimeout: 0 });
  await never.after(0);
  assert.equal(await never.after(86_400_000), 1);
});

test("a resume has to be answered in that time, too; a start may take its time", async (t) => {
  const silent = () => new Promise(() => {});
  const { after, calls } = world(t, 0, [lost(), silent, () => streamed([replay(1), end(1)])]);
  assert.equal(await after(0), 1);
  assert.equal(await after(1), 2);
  assert.equal(await after(29_999), 2);
  assert.equal(await after(2), 2);
  assert.equal(await after(1), 3);
  assert.equal(calls[1].init.signal.aborted, true);
  t.mock.timers.reset();
  const start = world(t, 0, [silent]);
  await start.after(0);
  assert.equal(await start.after(86_400_000), 1);
});

test("gave_up comes after that many attempts in a row that bring nothing", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const run = async (attempts, ...answers) => {
    const { fetch, calls } = server(...answers);
    const { error } = await collect(resumable(URL_, { fetch, retry: { attempts } }));
    return [error.code, calls.length];
  };
  assert.deepEqual(await run(1, down), ["gave_up", 1]);
  assert.deepEqual(await run(3, down), ["gave_up", 3]);
  assert.deepEqual(await run(3, lost(), down, down, () => streamed([replay(1), event(2)]), down), ["gave_up", 7]);
  assert.deepEqual(await run(2, lost(), () => streamed([replay(1)])), ["gave_up", 3]);
  assert.deepEqual(await run(0, lost()), ["gave_up", 1]);
  const wait = control("wait", { reason: "x" });
  assert.deepEqual(await run(2, lost(), () => streamed([wait])), ["gave_up", 3]);
});
