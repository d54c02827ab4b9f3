// The counters are measured: a stream that loses, repeats or announces a hole is shown as one that does.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Demo, Server, launch } from "./lab.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** A response of a made-up server: controls by phase, events by their step. */
function stream(...parts) {
  const block = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\nid: not-a-token\n\n`;
  const event = (step) => block("stage", { stage: "DRAFTING", payload: { progress: step / 10, status: `Step ${step}`, step, steps: 10 } });
  return parts.map((part) => (typeof part === "number" ? event(part) : block("resume", part))).join("");
}

const open = { phase: "open", token: "t", request_id: "r", expires_at: 0 };
const replay = (from, last) => ({ phase: "replay", token: "t", from, first: 1, last, status: "running" });
const end = (seq) => ({ phase: "end", status: "complete", seq, diagnostics: {} });

/** Runs a page whose stream is made up; each string is the body of one response. */
async function counted(server, ...bodies) {
  const demo = await Demo.open(browser, server.base);
  try {
    await demo.page.route("**/assist/draft-graph/stream?*", (route) => {
      const body = bodies.length > 1 ? bodies.shift() : bodies[0];
      // The browser comes back at once.
      return route.fulfill({ status: 200, contentType: "text/event-stream", body: `retry: 10\n\n${body}` });
    });
    await demo.draft("native");
    await demo.state("ended");
    assert.deepEqual(demo.errors, []);
    const counters = await demo.counters();
    // The same in words, a moment later: it is not told more than can be listened to.
    const { received, lost, repeated, reconnects } = counters;
    const once = reconnects === 1 ? "reconnect" : "reconnects";
    const said = `${received} events received, ${lost} lost, ${repeated} repeated, ${reconnects} ${once}.`;
    await demo.page.getByText(said).first().waitFor();
    return counters;
  } finally {
    await demo.close();
  }
}

describe("the counters", { concurrency: 3 }, () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  for (const [what, expected, ...bodies] of [
    ["a stream that is whole", { received: 4, lost: 0, repeated: 0, reconnects: 0 }, stream(open, 1, 2, 3, 4, end(4))],
    [
      "one that is cut and goes on where it was",
      { received: 4, lost: 0, repeated: 0, reconnects: 1 },
      stream(open, 1, 2),
      stream(replay(2, 3), 3, 4, end(4)),
    ],
    [
      "one that is resumed too early",
      { received: 4, lost: 0, repeated: 1, reconnects: 1 },
      stream(open, 1, 2),
      stream(replay(1, 3), 2, 3, 4, end(4)),
    ],
    [
      "one that is resumed too late",
      { received: 3, lost: 1, repeated: 0, reconnects: 1 },
      stream(open, 1, 2),
      stream(replay(3, 4), 4, end(4)),
    ],
    [
      "one that says it is resumed at the right place, and repeats",
      { received: 5, lost: 0, repeated: 1, reconnects: 1 },
      stream(open, 1, 2),
      stream(replay(2, 3), 2, 3, 4, end(5)),
    ],
    [
      "one that says it is resumed at the right place, and loses",
      { received: 3, lost: 1, repeated: 0, reconnects: 1 },
      stream(open, 1, 2),
      stream(replay(2, 3), 4, end(3)),
    ],
    ["one that ends too early", { received: 2, lost: 2, repeated: 0, reconnects: 0 }, stream(open, 1, 2, end(4))],
    [
      "one that announces a hole",
      { received: 2, lost: 2, repeated: 0, reconnects: 0 },
      stream(open, 1, { phase: "gap", from: 2, to: 3, reason: "trimmed" }, 4, end(4)),
    ],
  ]) {
    test(what, async () => {
      assert.deepEqual(await counted(server, ...bodies), expected);
    });
  }

  // More events than are kept, and a viewer that is away for too long.
  test("what the server has not kept is counted as lost, and the whole graph comes with the end", async () => {
    const small = await Server.start({ SSE_BUFFER_MAX_EVENTS: "24", DRAFT_MIN_EVENTS: "300", DRAFT_PACE_MS: "50" });
    const demo = await Demo.open(browser, small.base);
    try {
      await demo.draft("js");
      await demo.received(20);
      await demo.button("Go offline 5 s").click();
      await demo.logged("gap");
      await demo.state("ended");
      const { received, lost, repeated } = await demo.counters();
      const known = Number((await demo.page.locator("#facts").textContent()).match(/of (\d+)/)[1]);
      assert.ok(lost > 20 && known > 300, `${lost} of ${known}`);
      assert.deepEqual({ sum: received + lost, repeated }, { sum: known, repeated: 0 });
      assert.match((await demo.log("gap")).join(), /^Events \d+ to \d+ are not to be had \(trimmed\)/);
      assert.match(await demo.page.locator("#words-summary").textContent(), /1 decision.*1 goal/);
      assert.deepEqual(demo.errors, []);
    } finally {
      await demo.close();
      await small.stop();
    }
  });
});
