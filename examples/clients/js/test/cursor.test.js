// Where a client is: positions by ids, by counting and by what the server says, over a made-up server.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  collect,
  control,
  end,
  event,
  open,
  quick,
  replay,
  reset,
  seqs,
  server,
  streamed,
  tokenAt,
} from "./helpers.js";

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
