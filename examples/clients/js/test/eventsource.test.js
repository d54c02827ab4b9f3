// The face of an EventSource: its events, states and handlers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ResumableError, ResumableEventSource } from "../resumable.js";
import { control, end, event, open, problem, replay, server, settle, streamed, tokenAt, URL_ } from "./helpers.js";

const retry = { base: 0, max: 0 };
const NAMES = ["open", "message", "error", "gap", "snapshot", "restart", "end", "tick"];

/** A source, and what it says, up to its end. */
function listen(answers, options = {}) {
  const { fetch, calls } = server(...answers);
  const source = new ResumableEventSource(URL_, { fetch, retry, ...options });
  const said = [];
  const over = new Promise((resolve) => {
    for (const name of NAMES) source.addEventListener(name, (event) => said.push([event, source.readyState]));
    source.addEventListener("end", resolve);
    source.addEventListener("error", (event) => event.fatal && resolve());
  });
  return { source, said, calls, over };
}

test("it opens, says its events as messages, comes back, and ends closed", async () => {
  const { source, said, calls, over } = listen([
    streamed([open(), event(1), `event: tick\ndata: 2\nid: ${tokenAt(2)}\n\n`, new TypeError("terminated")]),
    streamed([
      replay(2),
      control("gap", { from: 3, to: 4, reason: "trimmed" }),
      control("snapshot", { seq: 4, status: "complete" }),
      "event: complete\ndata: {}\n\n",
      end(4),
    ]),
  ]);
  assert.equal(source.readyState, ResumableEventSource.CONNECTING);
  assert.equal(calls.length, 0, "listeners can be added before anything is sent");
  await over;
  assert.deepEqual(
    said.map(([{ type }, state]) => [type, state]),
    [
      ["open", 1],
      ["message", 1],
      ["tick", 1],
      ["error", 0],
      ["open", 1],
      ["gap", 1],
      ["snapshot", 1],
      ["end", 2],
    ],
  );
  const [, [message], [tick], [error], , [gap], [snapshot], [last]] = said;
  assert.ok(message instanceof MessageEvent && tick instanceof MessageEvent);
  assert.deepEqual(
    [message.data, message.lastEventId, message.origin, message.seq],
    ["d1", tokenAt(1), "http://stream.test", 1],
  );
  assert.deepEqual([tick.data, tick.seq], ["2", 2]);
  assert.deepEqual([error.error, error.fatal, error.reason], [null, false, "cut"]);
  assert.ok(error.message.length > 0);
  assert.deepEqual([gap.from, gap.to, gap.reason], [3, 4, "trimmed"]);
  assert.deepEqual([snapshot.seq, snapshot.status, snapshot.event, snapshot.data], [4, "complete", "complete", "{}"]);
  assert.deepEqual([last.status, last.seq], ["complete", 4]);
  assert.equal(source.stream.stats.reconnects, 1);
  assert.equal(source.url, URL_);
});

test("204 is an end without a status", async () => {
  const { source, said, over } = listen([new Response(null, { status: 204 })]);
  await over;
  assert.deepEqual(
    said.map(([{ type }]) => type),
    ["end"],
  );
  assert.equal(said[0][0].status, null);
  assert.equal(source.readyState, 2);
});

test("an error for good is fatal, and says why", async () => {
  const { source, said, over } = listen([problem(404)]);
  await over;
  assert.equal(said.length, 1);
  const [[{ error, fatal, message }]] = said;
  assert.ok(error instanceof ResumableError);
  assert.deepEqual([error.code, fatal, message, source.readyState], ["refused", true, error.message, 2]);
});

test("close says nothing more, and closes the stream", async () => {
  for (const when of ["at once", "later", "in a listener"]) {
    const { source, said } = listen([streamed([open(), event(1) + event(2)], { hold: true })]);
    if (when === "at once") source.close();
    if (when === "in a listener") source.onmessage = () => source.close();
    await settle();
    if (when === "later") source.close();
    await settle();
    assert.equal(source.readyState, 2);
    assert.equal(source.stream.state, "closed");
    const names = said.map(([{ type }]) => type);
    assert.deepEqual(
      names,
      { "at once": [], later: ["open", "message", "message"], "in a listener": ["open", "message"] }[when],
    );
  }
});

test("handlers are properties: one each, that can be taken away, with the source as `this`", async () => {
  const { source, over } = listen([streamed([open(), event(1), event(2), event(3), end(3)])]);
  const calls = [];
  function first({ seq }) {
    calls.push(["first", seq, this === source]);
    source.onmessage = ({ seq: later }) => {
      calls.push(["second", later]);
      source.onmessage = null;
    };
  }
  source.onmessage = first;
  assert.equal(source.onmessage, first);
  assert.equal(source.onerror, null);
  await over;
  assert.deepEqual(calls, [
    ["first", 1, true],
    ["second", 2],
  ]);
  assert.equal(source.onmessage, null);
});

test("it takes the options of a stream, and withCredentials", async () => {
  const states = [];
  const { source, calls, over } = listen([streamed([open(), end(0)])], {
    method: "POST",
    body: "{}",
    withCredentials: true,
    onState: (state) => states.push(state),
  });
  await over;
  assert.equal(calls[0].method, "POST");
  assert.equal(calls[0].init.credentials, "include");
  assert.equal(source.withCredentials, true);
  assert.deepEqual(states, ["connecting", "open", "ended"]);
  assert.throws(() => new ResumableEventSource("not a url"), { code: "bad_url" });
});

test("an event of the server's own that is called `end` is a message", async () => {
  const { said, over, source } = listen([streamed([open(), `event: end\ndata: mine\n\n`, end(1)])]);
  const mine = new Promise((resolve) =>
    source.addEventListener("end", (event) => event instanceof MessageEvent || resolve()),
  );
  await over;
  await mine;
  assert.deepEqual(
    said.map(([event]) => [event.type, event instanceof MessageEvent]),
    [
      ["open", false],
      ["end", true],
      ["end", false],
    ],
  );
});
