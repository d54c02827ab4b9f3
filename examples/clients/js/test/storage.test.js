// What leads a new client back to the stream: kept as events are seen, used once, and gone with the stream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { storageOf } from "../resumable.js";
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

/** A storage that can be looked into. */
function memory(entries = {}) {
  const map = new Map(Object.entries(entries));
  return {
    map,
    get: (key) => map.get(key),
    set: (key, value) => map.set(key, value),
    remove: (key) => map.delete(key),
  };
}
const KEY = "tower-resume POST http://stream.test/draft?key=secret-in-the-query";
const kept = (storage) => (storage.map.has(KEY) ? JSON.parse(storage.map.get(KEY)) : null);
const memo = (seq, more = {}) => ({
  token: tokenAt(seq),
  tokenSeq: seq,
  seq,
  requestId: "the-request",
  expiresAt: Date.now() + 60_000,
  ...more,
});
const post = (fetch, options) => quick(fetch, { method: "POST", ...options });

test("the way back is there before the first event, and an event has been seen once the next is asked for", async () => {
  const storage = memory();
  const { fetch } = server(streamed([open(), event(1), event(2), end(2)]));
  const stream = post(fetch, { storage });
  assert.equal((await stream.next()).value.seq, 1);
  const { token, seq, requestId, expiresAt } = kept(storage);
  assert.deepEqual([token, seq, requestId], [tokenAt(0), 0, "the-request"]);
  assert.ok(expiresAt > Date.now());
  await stream.next();
  assert.deepEqual([kept(storage).token, kept(storage).seq], [tokenAt(1), 1]);
  assert.equal((await stream.next()).value.type, "end");
  assert.equal(kept(storage), null, "with the end it is gone at once");
  await stream.next();
  assert.equal(kept(storage), null);
});

test("a new client resumes behind what has been seen, by GET, and says `open` as the first one", async () => {
  const storage = memory();
  const first = post(server(streamed([open(), event(1), event(2)], { hold: true })).fetch, { storage });
  await first.next();
  await first.next();
  first.close();
  assert.equal(kept(storage).seq, 1);
  const { fetch, calls } = server(streamed([replay(1), event(2), event(3), end(3)]));
  const second = post(fetch, { storage, body: "{}" });
  const { seen } = await collect(second);
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    [2, 3, 3],
  );
  assert.equal(calls[0].method, "GET");
  assert.equal(calls[0].body, undefined);
  assert.equal(calls[0].headers["x-resume-token"], tokenAt(1));
  assert.equal(calls[0].headers["x-resume-from"], undefined);
  assert.equal(storage.map.size, 0);
});

test("`from: start` asks for everything again, also after a loss", async () => {
  const storage = memory({ [KEY]: JSON.stringify(memo(5)) });
  const { fetch, calls } = server(
    new TypeError("down"),
    streamed([replay(0), event(1)]),
    streamed([replay(1), end(1)]),
  );
  const { seen } = await collect(post(fetch, { storage, from: "start" }));
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    [1, 1],
  );
  assert.deepEqual(
    calls.map(({ headers }) => headers["x-resume-from"]),
    ["0", "0", undefined],
  );
});

test("a token that no id has renewed is kept with the seq that has been counted", async () => {
  const storage = memory();
  const head = { headers: { "x-resume-token": tokenAt(0) } };
  const first = post(server(streamed(["data: a\n\ndata: b\n\ndata: c\n\n"], { hold: true, ...head })).fetch, {
    storage,
  });
  for (let seq = 1; seq <= 3; seq += 1) await first.next();
  await first.return();
  const { fetch, calls } = server(
    streamed([control("replay", { from: 2 }), "data: c\n\n", control("end", { status: "complete", seq: 3 })]),
  );
  const { seen } = await collect(post(fetch, { storage }));
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    [3, 3],
  );
  assert.equal(calls[0].headers["x-resume-from"], "2");
});

test("a gap that may be a snapshot's is told to the new page again", async () => {
  const storage = memory();
  const gap = control("gap", { from: 2, to: 8, reason: "trimmed" }, tokenAt(1));
  const first = post(server(streamed([open(), event(1), gap], { hold: true })).fetch, { storage });
  await first.next();
  await first.next();
  const asked = first.next();
  await settle();
  first.close();
  await asked;
  assert.equal(kept(storage).seq, 1);
});

test("what is kept is forgotten at 204, and where a new start is needed; not by other errors", async () => {
  const cases = [
    [() => new Response(null, { status: 204 }), null, true],
    [() => problem(401, "token_expired"), "unauthorized", true],
    [() => problem(426, "stream_expired"), "gone", true],
    [() => problem(404), "refused", false],
    [() => problem(503), "gave_up", false],
  ];
  for (const [answer, code, forgotten] of cases) {
    const storage = memory({ [KEY]: JSON.stringify(memo(5)) });
    const { error } = await collect(post(server(answer).fetch, { storage, retry: { base: 0, attempts: 2 } }));
    assert.equal(error?.code ?? null, code);
    assert.equal(kept(storage) === null, forgotten, code);
  }
});

test("`restart` forgets the old stream, and keeps the new one", async () => {
  const storage = memory({ [KEY]: JSON.stringify(memo(5)) });
  const { fetch } = server(
    problem(426),
    streamed([open({ request_id: "another" }), event(1), event(2)], { hold: true }),
  );
  const stream = post(fetch, { storage, restart: true });
  assert.equal((await stream.next()).value.type, "restart");
  assert.equal((await stream.next()).value.seq, 1);
  await stream.next();
  assert.deepEqual([kept(storage).requestId, kept(storage).seq], ["another", 1]);
  stream.close();
});

test("a token that is past its time is not used, nor is what cannot be read", async () => {
  const useless = [
    JSON.stringify(memo(5, { expiresAt: Date.now() - 1 })),
    "not json",
    "null",
    "[]",
    "{}",
    JSON.stringify(memo(5, { token: "with a line\nbreak" })),
    JSON.stringify(memo(5, { token: 7 })),
    JSON.stringify(memo(-1)),
    JSON.stringify(memo(5, { seq: "5" })),
  ];
  for (const text of useless) {
    const storage = memory({ [KEY]: text });
    const { fetch, calls } = server(streamed([open(), end(0)]));
    const { error } = await collect(post(fetch, { storage }));
    assert.equal(error, null, text);
    assert.equal(calls[0].method, "POST", text);
    assert.equal(calls[0].headers["x-resume-token"], undefined);
  }
});

test("a storage may be slow, and may fail: then a reload finds nothing, and that is said once", async (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  const slow = memory();
  const later =
    (method) =>
    async (...args) => {
      await new Promise(setImmediate);
      return slow[method](...args);
    };
  const asynchronous = { get: later("get"), set: later("set"), remove: later("remove") };
  const stream = post(server(streamed([open(), event(1), event(2), end(2)])).fetch, { storage: asynchronous });
  await stream.next();
  await stream.next();
  assert.equal(kept(slow).seq, 1);
  stream.close();
  assert.equal(warn.mock.callCount(), 0);
  const broken = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  const { seen, error } = await collect(
    post(server(streamed([open(), event(1), end(1)])).fetch, {
      storage: { get: async () => broken(), set: broken, remove: broken },
    }),
  );
  assert.equal(error, null);
  assert.equal(seen.length, 2);
  assert.equal(warn.mock.callCount(), 1);
  for (const { arguments: shown } of warn.mock.calls) assert.doesNotMatch(String(shown), /rgAAA/);
});

test("a Web Storage is one by storageOf, and a key can be given", async () => {
  const map = new Map();
  const web = {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, String(value)),
    removeItem: (key) => map.delete(key),
  };
  const stream = post(server(streamed([open(), event(1)], { hold: true })).fetch, {
    storage: storageOf(web),
    storageKey: "mine",
  });
  await stream.next();
  assert.deepEqual([...map.keys()], ["mine"]);
  stream.close();
});

test("cancel finds the stream in the storage; and what is cancelled is forgotten", async () => {
  const storage = memory({ [KEY]: JSON.stringify(memo(5)) });
  const { fetch, calls } = server(new Response(null, { status: 204 }));
  const stream = post(fetch, { storage });
  assert.equal(await stream.cancel(), "ended");
  assert.deepEqual([calls[0].method, calls[0].headers["x-resume-token"]], ["DELETE", tokenAt(5)]);
  stream.close();
  assert.equal(await stream.cancel(), "ended");
  assert.equal(kept(storage), null);
});

test("without a storage nothing is kept", async () => {
  const stream = post(server(streamed([open(), event(1), end(1)])).fetch);
  const followed = follow(stream);
  await followed.finished;
  assert.equal(followed.error, null);
});
