// Requests that start a stream: what may be sent again, and streams without the layer, over a made-up server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, collect, end, event, open, problem, quick, replay, reset, seqs, server, streamed } from "./helpers.js";

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

test("a stream without the layer: an id that no header can carry is not sent", async () => {
  const { fetch, calls } = server(
    streamed(["id: 7\x01\ndata: a\n\n"]),
    streamed(["id: 8\ndata: b\n\n"]),
    streamed(["id: \x7f\ndata: c\n\n"]),
    new Response(null, { status: 204 }),
  );
  const { seen, error } = await collect(quick(fetch));
  assert.equal(error, null);
  assert.equal(seen.map(({ data }) => data).join(""), "abc");
  assert.deepEqual(
    calls.map(({ headers }) => headers["last-event-id"]),
    [undefined, undefined, "8", undefined],
  );
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

test("where there is no global `crypto`, as on Node 18, a key is made all the same", async (t) => {
  const given = Object.getOwnPropertyDescriptor(globalThis, "crypto") ?? { value: undefined, configurable: true };
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  t.after(() => Object.defineProperty(globalThis, "crypto", given));
  const { fetch, calls } = server(streamed([open(), end(0)]));
  const { error } = await collect(quick(fetch, { method: "POST", idempotencyKey: true }));
  assert.equal(error, null);
  assert.match(calls[0].headers["idempotency-key"], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
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
