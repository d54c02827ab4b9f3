// The shared scenarios, in a browser: the page is of another origin than the streams, and a reload is a page's reload.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, describe, test } from "node:test";
import { browser, engine, site } from "./engine.js";
import { MOST, suite } from "./suite.js";

const [shared, pages, opened] = await Promise.all([suite(), site(), browser()]);
after(() => Promise.all([shared.stop(), pages.close(), opened.close()]));

/** After so much, a client that reads on has had more events than are allowed; for browsers that themselves read on. */
const MORE_THAN_IS_READ = 20_000_000;

test("a page that takes nothing makes the client read no more, and the server send no more than the browser itself holds", async (t) => {
  const page = await opened.context.newPage();
  await page.goto(`${pages.origin}/page`);
  let written = 0;
  const http = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "access-control-allow-origin": "*" });
    const write = () => {
      while (!response.destroyed) {
        written += 10_000;
        if (!response.write(`data: ${"x".repeat(9990)}\n\n`)) return response.once("drain", write);
      }
    };
    write();
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  await page.evaluate(async (url) => {
    const { resumable } = await import("/resumable.js");
    globalThis.stream = resumable(url, { maxBuffered: 4 });
    await stream.next();
  }, `http://127.0.0.1:${http.address().port}/`);
  // It has come to rest once nothing more is written for a while; one that is never held back never does.
  for (let before = -1; before !== written;) {
    before = written;
    if (!opened.holdsBack && written > MORE_THAN_IS_READ) break;
    assert.ok(written < 1_000_000_000, `${written} bytes`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const { received } = await page.evaluate(() => {
    stream.close();
    return stream.stats;
  });
  assert.ok(received <= 5, `${received} events`);
  await page.close();
});

describe(`scenarios in ${engine}`, { concurrency: opened.atOnce }, async () => {
  for (const { name, about, seeds } of await shared.scenarios()) {
    for (const seed of seeds) {
      test(`${name} ${seed}: ${about}`, { timeout: MOST }, async () => {
        const page = await opened.context.newPage();
        try {
          await page.goto(`${pages.origin}/page`);
          let parts = 0;
          await shared.run(name, seed, `js-${engine}`, async (plan, taken) => {
            if (parts > 0) await page.reload();
            parts += 1;
            return page.evaluate(
              async ({ plan, control, taken }) => {
                const [{ drive }, { storageOf }] = await Promise.all([
                  import("/test/drive.js"),
                  import("/resumable.js"),
                ]);
                return drive(plan, control, { storage: storageOf(sessionStorage), taken });
              },
              { plan, control: shared.control, taken },
            );
          });
        } finally {
          await page.close();
        }
      });
    }
  }
});
