// A page around the client: its network comes and goes, and it is hidden and shown. Made of event targets.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { end, event, follow, open, problem, quick, replay, server, settle, streamed } from "./helpers.js";

let page;
let listeners;

/** A window and its document, as far as the client looks at them. */
beforeEach((t) => {
  const window = new EventTarget();
  const document = new EventTarget();
  listeners = 0;
  for (const target of [window, document]) {
    const { addEventListener, removeEventListener } = target;
    target.addEventListener = (...args) => {
      listeners += 1;
      addEventListener.apply(target, args);
    };
    target.removeEventListener = (...args) => {
      listeners -= 1;
      removeEventListener.apply(target, args);
    };
  }
  document.visibilityState = "visible";
  const navigator = { onLine: true };
  Object.defineProperties(globalThis, {
    document: { value: document, configurable: true },
    navigator: { value: navigator, configurable: true },
    addEventListener: { value: window.addEventListener, configurable: true },
    removeEventListener: { value: window.removeEventListener, configurable: true },
  });
  document.baseURI = "http://page.test/";
  page = {
    online(yes) {
      navigator.onLine = yes;
      window.dispatchEvent(new Event(yes ? "online" : "offline"));
    },
    show(yes) {
      document.visibilityState = yes ? "visible" : "hidden";
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.mock.method(Math, "random", () => 1 - Number.EPSILON);
});

afterEach(() => {
  assert.equal(listeners, 0, "no listener is left");
  for (const name of ["document", "navigator", "addEventListener", "removeEventListener"]) delete globalThis[name];
});

const slow = { retry: {} };
const lost = () => streamed([open(), event(1)]);
const rest = () => streamed([replay(1), end(1)]);
const held = () => streamed([replay(1)], { hold: true });
const down = () => new TypeError("Failed to fetch");

test("offline, nothing is tried until it is online, and then at once", async (t) => {
  const { fetch, calls } = server(lost(), rest());
  const states = [];
  const stream = quick(fetch, { ...slow, onState: (state) => states.push(state) });
  const followed = follow(stream);
  await settle();
  assert.equal(stream.state, "waiting");
  page.online(false);
  await settle();
  assert.equal(stream.state, "offline");
  t.mock.timers.tick(3_600_000);
  await settle();
  assert.equal(calls.length, 1);
  page.online(true);
  await settle();
  assert.equal(calls.length, 2);
  await followed.finished;
  assert.deepEqual(states, ["connecting", "open", "waiting", "offline", "connecting", "open", "ended"]);
});

test("the start waits for the network, too", async () => {
  page.online(false);
  const { fetch, calls } = server(streamed([open(), end(0)]));
  const stream = quick(fetch, { ...slow, method: "POST" });
  const followed = follow(stream);
  await settle();
  assert.deepEqual([stream.state, calls.length], ["offline", 0]);
  page.online(true);
  await followed.finished;
  assert.deepEqual([followed.error, calls.length], [null, 1]);
});

test("a connection that lives on while the page is offline is left alone", async () => {
  let more;
  const { fetch, calls } = server(streamed([open(), new Promise((resolve) => (more = resolve)), end(1)]));
  const stream = quick(fetch, slow);
  const followed = follow(stream);
  await settle();
  page.online(false);
  await settle();
  assert.equal(stream.state, "open");
  more(event(1));
  await followed.finished;
  assert.deepEqual([followed.error, calls.length], [null, 1]);
});

test("one that is lost while offline is `offline` at once", async () => {
  let fail;
  const { fetch, calls } = server(streamed([open(), new Promise((resolve) => (fail = resolve))]), rest());
  const stream = quick(fetch, slow);
  const followed = follow(stream);
  await settle();
  page.online(false);
  fail(down());
  await settle();
  assert.deepEqual([stream.state, calls.length], ["offline", 1]);
  page.online(true);
  await followed.finished;
  assert.equal(calls.length, 2);
});

test("a page that is shown again does not wait any longer", async () => {
  const { fetch, calls } = server(lost(), down, down, rest());
  const stream = quick(fetch, slow);
  const followed = follow(stream);
  await settle();
  page.show(false);
  await settle();
  assert.deepEqual([stream.state, calls.length], ["waiting", 1], "hiding is no reason");
  page.show(true);
  await settle();
  assert.deepEqual([stream.state, calls.length], ["waiting", 2]);
  page.show(true);
  await settle();
  assert.equal(calls.length, 3);
  page.online(true);
  await followed.finished;
  assert.equal(calls.length, 4);
});

test("but for as long as Retry-After says", async (t) => {
  const { fetch, calls } = server(lost(), problem(503, "x", { "retry-after": "5" }), rest());
  const stream = quick(fetch, slow);
  const followed = follow(stream);
  await settle();
  page.show(true);
  await settle();
  assert.equal(calls.length, 2);
  page.show(true);
  page.online(false);
  await settle();
  page.online(true);
  await settle();
  t.mock.timers.tick(4999);
  await settle();
  assert.deepEqual([stream.state, calls.length], ["waiting", 2]);
  t.mock.timers.tick(1);
  await followed.finished;
  assert.equal(calls.length, 3);
});

test("a connection that was silent for too long while the page slept is cut and had again at once", async (t) => {
  const { fetch, calls } = server(streamed([open(), event(1)], { hold: true }), held, rest());
  const stream = quick(fetch, slow);
  const followed = follow(stream);
  await settle();
  // Timers do not run in a sleep; the clock does.
  t.mock.timers.setTime(31_000);
  page.show(false);
  await settle();
  assert.equal(calls.length, 1);
  page.show(true);
  await settle();
  assert.deepEqual([stream.state, calls.length], ["open", 2], "without a back-off");
  page.show(true);
  page.online(true);
  await settle();
  assert.equal(calls.length, 2, "a connection that is not silent for long is left alone");
  stream.close();
  await followed.finished;
});

test("a worker has a network, and no document", async () => {
  delete globalThis.document;
  Object.defineProperty(globalThis, "document", { value: undefined, configurable: true });
  page.online(false);
  const { fetch, calls } = server(streamed([open(), end(0)]));
  const followed = follow(quick(fetch, slow));
  await settle();
  assert.equal(calls.length, 0);
  page.online(true);
  await followed.finished;
  assert.equal(followed.error, null);
});

test("where nobody tells when it is online again, it is not waited for", async () => {
  Object.defineProperty(globalThis, "addEventListener", { value: undefined, configurable: true });
  globalThis.navigator.onLine = false;
  const { fetch } = server(streamed([open(), end(0)]));
  const followed = follow(quick(fetch, slow));
  await followed.finished;
  assert.equal(followed.error, null);
});
