// The engine that pages are tested in, by BROWSER: `chromium` (as without it), `firefox` or `webkit`; all of them as the
// distribution packages them. And a server of static pages that import the client as it is.
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as requestOf } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, firefox } from "playwright-core";
import { webkit } from "./webkit.js";

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Each with `atOnce`: how many pages it can have at work, on a small machine; `canGoOffline`: whether its driver can take
 * the network away; `holdsBack`: whether a response that no page reads is at some point not read by the browser, either.
 */
const ENGINES = {
  async chromium() {
    const profile = await mkdtemp(join(tmpdir(), "resumable-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      headless: true,
      args: QUIET,
    });
    const close = async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    };
    return { context, close, atOnce: 10, canGoOffline: true, holdsBack: true };
  },
  async firefox() {
    const executablePath = process.env.FIREFOX || "/usr/bin/firefox-esr";
    const browser = await firefox.launch({ channel: "moz-firefox", executablePath, headless: true });
    const close = () => browser.close();
    return { context: await browser.newContext(), close, atOnce: 6, canGoOffline: true, holdsBack: false };
  },
  async webkit() {
    const context = await webkit();
    return { context, close: () => context.close(), atOnce: 4, canGoOffline: false, holdsBack: false };
  },
};

export const engine = process.env.BROWSER || "chromium";

/** Longer than anything takes, also on a busy machine. Far less than that is the driver's own default. */
export const PATIENCE = 120_000;

/** A browser with a profile of its own, which goes with it. */
export async function browser() {
  const opened = await ENGINES[engine]();
  opened.context.setDefaultTimeout?.(PATIENCE);
  return opened;
}

/** What pages may ask for. */
const FILES = {
  "/resumable.js": new URL("../resumable.js", import.meta.url),
  "/test/drive.js": new URL("drive.js", import.meta.url),
};
export const PAGE = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>resumable</title>";

/** The body of a file that pages may ask for; null for the page itself, undefined for anything else. */
export async function file(path) {
  if (path === "/page") return { type: "text/html; charset=utf-8", body: PAGE };
  if (FILES[path]) return { type: "text/javascript; charset=utf-8", body: await readFile(FILES[path], "utf8") };
  return undefined;
}

/** Serves them on a port of its own; and whatever else is asked for, where there is one, from the `origin` behind it. */
export async function site(origin = null) {
  const http = createServer(async (request, response) => {
    const found = await file(request.url);
    if (!found && origin) return pass(request, response, origin);
    response.writeHead(found ? 200 : 404, { "content-type": found?.type ?? "text/plain" }).end(found?.body);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const close = async () => {
    http.closeAllConnections();
    http.close();
  };
  return { origin: `http://127.0.0.1:${http.address().port}`, close };
}

function pass(request, response, origin) {
  const { method, headers, url } = request;
  const behind = requestOf(new URL(url, origin), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers).flushHeaders();
    answer.pipe(response);
  });
  // Whoever leaves leaves both sides.
  behind.on("error", () => response.destroy());
  response.on("close", () => behind.destroy());
  request.pipe(behind);
}
