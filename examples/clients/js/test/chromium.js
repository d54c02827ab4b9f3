// A real Chromium, and a server of static pages that import the client as it is.
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with a profile of its own, which goes with it. */
export async function browser() {
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
  return { context, close };
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

/** Serves them, on a port of its own. */
export async function site() {
  const http = createServer(async (request, response) => {
    const found = await file(request.url);
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
