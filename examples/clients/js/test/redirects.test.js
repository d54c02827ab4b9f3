// A token goes to the origin that it is of, and to no other: on Node, and in a real page.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { ResumableError, resumable } from "../resumable.js";
import { browser, file } from "./engine.js";
import { collect, end, event, open, replay } from "./helpers.js";

/** A server for one test. It takes down what it is asked, and answers with the function of its path. */
async function serve(t, paths) {
  const asked = [];
  const http = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://test");
    asked.push(`${request.method} ${pathname}${request.headers["x-resume-token"] ? " token" : ""}`);
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "*");
    response.setHeader("access-control-allow-methods", "*");
    if (request.method === "OPTIONS") return response.writeHead(204).end();
    const answer = paths[pathname];
    return answer ? answer(response, request) : response.writeHead(404).end();
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { origin: `http://127.0.0.1:${http.address().port}`, asked };
}

const to = (status, location) => (response) => response.writeHead(status, { location }).end();
const says =
  (...chunks) =>
  (response) =>
    response.writeHead(200, { "content-type": "text/event-stream", connection: "close" }).end(chunks.join(""));
const begins = says(open(), event(1));
const goesOn = says(replay(1), event(2), end(2));
const seqs = ({ seen }) => seen.map(({ seq }) => seq);
const options = { retry: { base: 10, max: 10, attempts: 20 } };

for (const status of [301, 302, 303, 307, 308]) {
  test(`a resume follows a ${status} within its origin`, async (t) => {
    const { origin, asked } = await serve(t, {
      "/start": begins,
      "/resume": to(status, "/moved"),
      "/moved": to(status, "here?x"),
      "/here": goesOn,
    });
    const seen = await collect(resumable(`${origin}/start`, { resumeUrl: "/resume", ...options }));
    assert.equal(seen.error, null);
    assert.deepEqual(seqs(seen), [1, 2, 2]);
    assert.deepEqual(asked, ["GET /start", "GET /resume token", "GET /moved token", "GET /here token"]);
  });
}

test("neither a resume nor a cancel goes to another origin; a start, which has no token, may", async (t) => {
  const elsewhere = await serve(t, { "/away": goesOn, "/begin": begins });
  const { origin } = await serve(t, {
    "/start": to(307, `${elsewhere.origin}/begin`),
    "/resume": to(307, `${elsewhere.origin}/away`),
  });
  const stream = resumable(`${origin}/start`, { resumeUrl: "/resume", ...options });
  const { seen, error } = await collect(stream);
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    [1],
  );
  assert.ok(error instanceof ResumableError);
  assert.deepEqual([error.code, error.status], ["refused", 307]);
  assert.match(error.message, /elsewhere/);
  await assert.rejects(stream.cancel(), { code: "refused", status: 307 });
  assert.deepEqual(elsewhere.asked, ["GET /begin"]);
});

test("redirects that lead nowhere, or for ever, are refused", async (t) => {
  for (const location of ["/resume", "http://", "data:text/event-stream,x", undefined]) {
    const { origin, asked } = await serve(t, { "/start": begins, "/resume": to(302, location ?? []) });
    const { error } = await collect(resumable(`${origin}/start`, { resumeUrl: "/resume", ...options }));
    assert.deepEqual([error.code, error.status], ["refused", 302], location);
    assert.ok(asked.length <= 12, `${asked.length}`);
  }
});

test("in a page, too", async (t) => {
  const opened = await browser();
  after(() => opened.close());
  const elsewhere = await serve(t, { "/away": goesOn });
  const page = async (response, { url }) => {
    const { type, body } = await file(url);
    response.writeHead(200, { "content-type": type }).end(body);
  };
  const own = await serve(t, {
    "/page": page,
    "/resumable.js": page,
    "/start": begins,
    "/moved": to(307, "/here"),
    "/here": goesOn,
    "/resume": to(307, `${elsewhere.origin}/away`),
  });
  const other = await serve(t, { "/start": begins, "/moved": to(307, "/here"), "/here": goesOn });
  const tab = await opened.context.newPage();
  await tab.goto(`${own.origin}/page`);
  const run = (url, resumeUrl) =>
    tab.evaluate(
      async ([url, resumeUrl]) => {
        const { resumable } = await import("/resumable.js");
        const seen = [];
        try {
          const stream = resumable(url, { resumeUrl, retry: { base: 10, max: 10, attempts: 3 } });
          for await (const { seq } of stream) seen.push(seq);
        } catch ({ code }) {
          seen.push(code);
        }
        return seen;
      },
      [url, resumeUrl],
    );
  assert.deepEqual(await run("/start", "/moved"), [1, 2, 2], "within the page's own origin");
  assert.deepEqual(await run("/start", "/resume"), [1, "gave_up"], "a browser does not say why");
  // Of another origin a browser says nothing, and nothing can be asked of it.
  assert.deepEqual(await run(`${other.origin}/start`, "/moved"), [1, "refused"]);
  assert.deepEqual(elsewhere.asked, []);
});
