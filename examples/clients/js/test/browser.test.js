// A real page, on the origin of the smallest server (`examples/hello.rs`): reloads, the network's coming and going, and
// the face of an EventSource beside the native one.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, site } from "./engine.js";
import { built, started } from "./suite.js";

const [opened, hello] = await Promise.all([
  browser(),
  started(process.env.HELLO || built("hello"), /serves (\S+)/, { PORT: "0" }),
]);
// The page and the module are put on the server's own origin.
const pages = await site(hello.found[1]);
const { origin } = pages;
after(() => Promise.all([opened.close(), pages.close(), hello.stop()]));

/** A page, with what it throws; closed when the test is over. */
async function open(t) {
  const page = await opened.context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error));
  await page.goto(`${origin}/page`);
  t.after(async () => {
    await page.close();
    assert.deepEqual(faults, []);
  });
  return page;
}

/** In the page: follows a stream in the background, and keeps what comes; with `take`, so many, and then asks for no more. */
async function follow(page, options = {}) {
  await page.evaluate(async (options) => {
    const { resumable, storageOf } = await import("/resumable.js");
    globalThis.seen = [];
    globalThis.states = [];
    const storage = options.keep ? storageOf(sessionStorage) : undefined;
    globalThis.stream = resumable("/count", {
      resumeUrl: "/resume",
      storage,
      from: options.from,
      onState: (state) => states.push(state),
    });
    (async () => {
      for await (const event of stream) {
        seen.push(event);
        if (seen.length === options.take) await new Promise(() => {});
      }
    })().catch((error) => seen.push({ type: "error", code: error.code }));
  }, options);
}
const count = (page, least) => page.waitForFunction((least) => globalThis.seen?.length >= least, least);
const numbers = (page) => page.evaluate(() => seen.map(({ data, type }) => (data ? Number(data) : type)));
const upTo = (from, length) => Array.from({ length }, (_, index) => from + index);

test("a reload of the page goes on where it was; and with `from: start` begins with the first event of the same stream", async (t) => {
  const page = await open(t);
  // It takes no more than these, however long the reload takes.
  await follow(page, { keep: true, take: 3 });
  await count(page, 3);
  const requestId = await page.evaluate(() => stream.requestId);
  assert.deepEqual(await numbers(page), [1, 2, 3]);
  await page.reload();
  await follow(page, { keep: true, take: 2 });
  await count(page, 2);
  // An event has been seen once the next one is asked for.
  const second = await numbers(page);
  assert.deepEqual(second, [3, 4]);
  assert.equal(await page.evaluate(() => stream.requestId), requestId);
  await page.reload();
  await follow(page, { keep: true, from: "start" });
  await count(page, second.at(-1));
  const third = await numbers(page);
  assert.deepEqual(third, upTo(1, third.length));
  assert.equal(await page.evaluate(() => stream.requestId), requestId);
  await page.evaluate(() => stream.close());
});

const unlessOffline = { skip: opened.canGoOffline ? false : "its driver cannot take the network away" };

test("a page that goes offline waits for the network, and then misses nothing", unlessOffline, async (t) => {
  const page = await open(t);
  await follow(page);
  await count(page, 2);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await opened.context.setOffline(true);
  t.after(() => opened.context.setOffline(false));
  // The browser may let the open connection be: then it is cut here.
  await page.evaluate(() => stream.disconnect());
  await page.waitForFunction(() => stream.state === "offline");
  const before = await numbers(page);
  // The server goes on meanwhile.
  const token = await page.evaluate(() => stream.token);
  for (let last = 0; last < before.length + 3;) {
    const headers = { "x-resume-token": token, "x-resume-mode": "status" };
    ({ last } = await (await fetch(`${origin}/resume`, { headers })).json());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await page.evaluate(() => stream.state), "offline");
  assert.deepEqual(asked, [], "nothing is asked while it is offline");
  await opened.context.setOffline(false);
  await count(page, before.length + 4);
  const all = await numbers(page);
  assert.deepEqual(all, upTo(1, all.length));
  assert.equal(await page.evaluate(() => stream.stats.reconnects), 1);
  const states = await page.evaluate(() => states);
  // The page may hear of the network a moment before requests get through: then the first one fails.
  const told = states.filter((state) => state !== "waiting");
  assert.deepEqual(
    told.filter((state, index) => state !== told[index - 1]),
    ["connecting", "open", "offline", "connecting", "open"],
  );
  await page.evaluate(() => stream.close());
});

test("a page that is offline from the start begins when it is online", unlessOffline, async (t) => {
  const page = await open(t);
  await page.evaluate(() => import("/resumable.js"));
  await opened.context.setOffline(true);
  t.after(() => opened.context.setOffline(false));
  await follow(page);
  await page.waitForFunction(() => stream.state === "offline");
  await opened.context.setOffline(false);
  await count(page, 1);
  await page.evaluate(() => stream.close());
});

test("the face of an EventSource says what the native one says, and comes back as it does", async (t) => {
  const page = await open(t);
  const said = await page.evaluate(async () => {
    const { ResumableEventSource } = await import("/resumable.js");
    const follow = (source) =>
      new Promise((resolve) => {
        const said = [["is", source.readyState, source.url, source.withCredentials, typeof source.onmessage]];
        source.onopen = () => said.push(["open", source.readyState]);
        source.onmessage = (event) => {
          said.push([
            event.type,
            event.data,
            event.origin,
            event.constructor.name,
            event.lastEventId.length > 40,
            event.target === source,
          ]);
          if (event.data === "3") {
            source.close();
            said.push(["closed", source.readyState]);
            resolve(said);
          }
        };
      });
    return Promise.all([follow(new EventSource("/count")), follow(new ResumableEventSource("/count"))]);
  });
  assert.deepEqual(said[1], said[0]);
  assert.deepEqual(said[1].at(-1), ["closed", 2]);
  const resumed = await page.evaluate(async () => {
    const { ResumableEventSource } = await import("/resumable.js");
    const source = new ResumableEventSource("/count", { resumeUrl: "/resume", retry: { base: 1 } });
    const said = [];
    return new Promise((resolve) => {
      source.onerror = ({ fatal, reason }) => said.push(["error", source.readyState, fatal, reason]);
      source.onopen = () => said.push(["open"]);
      source.onmessage = ({ data }) => {
        said.push(data);
        if (data === "2") source.stream.disconnect();
        if (said.filter(([name]) => name === "open").length === 2) {
          source.close();
          resolve(said);
        }
      };
    });
  });
  // What had come together with 2 is given before the loss is told of.
  assert.deepEqual(
    resumed.filter((one) => typeof one !== "string"),
    [["open"], ["error", 0, false, "disconnect"], ["open"]],
  );
  const numbered = resumed.filter((one) => typeof one === "string").map(Number);
  assert.deepEqual(numbered, upTo(1, numbered.length));
  assert.ok(numbered.length >= 3, `${numbered}`);
});

test("in a worker", async (t) => {
  const page = await open(t);
  const data = await page.evaluate(async () => {
    const text = `
      import { resumable } from "${location.origin}/resumable.js";
      const stream = resumable("${location.origin}/count");
      for await (const { data } of stream) {
        if (data === "2") stream.disconnect();
        postMessage(data);
      }`;
    const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), { type: "module" });
    const said = [];
    await new Promise((resolve) => {
      worker.onmessage = ({ data }) => said.push(data) === 4 && resolve();
      worker.onerror = (event) => resolve(said.push(event.message));
    });
    worker.terminate();
    return said;
  });
  assert.deepEqual(data, ["1", "2", "3", "4"]);
});

test("a relative URL is of the page; a wrong one says what is wrong", async (t) => {
  const page = await open(t);
  const codes = await page.evaluate(async () => {
    const { resumable } = await import("/resumable.js");
    const code = async (...args) => {
      try {
        for await (const _ of resumable(...args));
      } catch (error) {
        return [error.code, error.status, error.message.startsWith("the start at http") ? error.message : ""];
      }
    };
    return [
      await code("nowhere"),
      await code("/page"),
      await code("http://127.0.0.1:9/", { retry: { base: 1, attempts: 2 } }),
      await code("data:text/event-stream,a"),
    ];
  });
  assert.deepEqual(
    codes.map(([code]) => code),
    ["refused", "not_event_stream", "gave_up", "bad_url"],
  );
  assert.match(codes[0][2], new RegExp(`^the start at ${origin}/nowhere was answered 404`));
});
