// `useChat({ resume: true })` itself, in a real Chromium: a reload, a second tab, a cut, a stop.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { before, after, test } from "node:test";

import { build } from "esbuild";
import { chromium } from "playwright-core";

import { node, proxy } from "./backend.mjs";
import { history, kept, textOf, until } from "./chat.mjs";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
/** Milliseconds for a word: fifteen seconds for an answer, so that it goes on while a busy machine opens a page. */
const SLOW = 150;
let browser;
let script;

before(async () => {
  const built = await build({
    entryPoints: [new URL("page.jsx", import.meta.url).pathname],
    bundle: true, format: "esm", write: false, jsx: "automatic", target: "es2022", logLevel: "error",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  script = built.outputFiles[0].text;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});

after(() => browser?.close());

/** Serves the page, and hands the rest to the example, as a web server in front of it does. */
async function site(t, backend) {
  const server = http.createServer((request, response) => {
    if (request.url.startsWith("/api/")) {
      const { method, headers } = request;
      const passed = http.request(backend + request.url, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
        answer.on("error", () => response.destroy());
        answer.on("aborted", () => response.destroy());
      });
      passed.on("error", () => response.destroy());
      response.on("close", () => passed.destroy());
      request.pipe(passed);
    } else if (request.url === "/page.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(script);
    } else if (request.url === "/favicon.ico") {
      response.writeHead(204).end();
    } else {
      const page = '<!doctype html><meta charset="utf-8"><title>chat</title><div id="root"></div><script type="module" src="/page.js"></script>';
      response.writeHead(200, { "content-type": "text/html" }).end(page);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => (server.close(), server.closeAllConnections()));
  return `http://127.0.0.1:${server.address().port}`;
}

async function open(t, url, context) {
  const own = context ?? (await browser.newContext());
  if (!context) t.after(() => own.close());
  own.setDefaultTimeout(120_000);
  const page = await own.newPage();
  page.on("pageerror", (error) => { throw error; });
  // Whether there is something to attach to is asked first. A question that is sent meanwhile would confuse the SDK.
  const attached = page.waitForResponse((response) => response.url().endsWith("/stream"));
  await page.goto(url);
  await attached;
  await page.locator("#ask").waitFor();
  return page;
}

const said = async (page) => {
  const answers = page.locator("li.assistant");
  return (await answers.count()) > 0 ? answers.last().textContent() : "";
};
const status = (page) => page.locator("#status").textContent();
const words = (page, count) => until(`${count} words have come`, async () => (await said(page)).split(" ").length > count);
const done = (page) => until("the answer is over", async () => (await status(page)) === "ready" && (await said(page)) !== "");

test("a reload in the midst goes on, and a second tab sees the same", async (t) => {
  const backend = await node(t, { pace: SLOW });
  const url = `${await site(t, backend)}/reloaded`;
  const page = await open(t, url);
  await page.click("#ask");
  await words(page, 10);
  await page.reload();
  await words(page, 10);
  assert.equal(await status(page), "streaming");
  const tab = await open(t, url, page.context());
  await words(tab, 10);
  await Promise.all([done(page), done(tab)]);
  const [question, answer, ...more] = await history(backend, "reloaded");
  assert.deepEqual([question.role, answer.role, more], ["user", "assistant", []]);
  assert.match(textOf(answer), /of the chat\.$/);
  for (const seen of [page, tab]) {
    assert.equal(await said(seen), textOf(answer));
    assert.equal(await seen.locator("li").count(), 2);
  }
  // Nothing is under way any more: the page shows the history and stays as it is.
  await page.reload();
  await page.locator("li.assistant").waitFor();
  assert.deepEqual([await status(page), await said(page)], ["ready", textOf(answer)]);
});

test("a cut is an error to the SDK, and trying again has every word once", async (t) => {
  const backend = await node(t, { pace: SLOW });
  const way = await proxy(t, backend);
  const page = await open(t, `${await site(t, way.url)}/cut`);
  await page.click("#ask");
  await words(page, 10);
  way.cut();
  await until("the loss is seen", async () => (await status(page)) === "error");
  await page.click("#resume");
  await done(page);
  assert.equal(await said(page), textOf((await history(backend, "cut")).at(-1)));
  assert.equal(await page.locator("li").count(), 2);
});

test("stop stops the answer, and what was said stays after a reload", async (t) => {
  const backend = await node(t, { pace: SLOW });
  const page = await open(t, `${await site(t, backend)}/stopped`);
  await page.click("#ask");
  await words(page, 10);
  await page.click("#stop");
  await done(page);
  const answer = await kept(backend, "stopped");
  assert.ok(answer.startsWith(await said(page)) && !answer.endsWith("of the chat."), answer);
  await page.reload();
  await page.locator("li.assistant").waitFor();
  assert.deepEqual([await status(page), await said(page)], ["ready", answer]);
});
