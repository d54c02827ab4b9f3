// The server goes away: the page says so, and comes back by itself.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Demo, Server, launch } from "./lab.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function on(env, does) {
  const server = await Server.start({ DRAFT_PACE_MS: "900", ...env });
  try {
    await Demo.visit(browser, server.base, {}, (demo) => does(demo, server));
  } finally {
    await server.stop();
  }
}

// They wait for most of the time, so a few of them at once.
describe("the page without its server", { concurrency: 3 }, () => {
  for (const client of ["native", "js"]) {
    test(`${client}: a server that was away when the draft was asked for`, () =>
      on({ DRAFT_PACE_MS: "20" }, async (demo, server) => {
        // So that the client's module is there, as it is on a page that was used before.
        await demo.page.evaluate(() => import("/resumable.js"));
        await server.stop();
        await demo.draft(client);
        await demo.page.locator("#state:is([data-state=waiting], [data-state=connecting])").waitFor();
        await server.start();
        await demo.state("ended");
        const { lost, repeated, received } = await demo.counters();
        assert.ok(received > 20);
        assert.deepEqual({ lost, repeated }, { lost: 0, repeated: 0 });
      }));

    // Without Redis a stream dies with its server. With a secret of its own the new server knows the token, and that the
    // stream is gone; without one it does not even know the token.
    for (const [how, env, text] of [
      ["other keys", {}, /no longer takes this stream’s token/],
      ["the same keys", { SSE_RESUME_SECRET: "a secret of at least thirty-two bytes" }, /does not know this draft any more/],
    ]) {
      test(`${client}: a server that was started anew with ${how} has lost the draft; it is offered again`, () =>
        on(env, async (demo, server) => {
          await demo.draft(client);
          await demo.received(4);
          await server.stop();
          await demo.state("waiting");
          assert.equal(await demo.page.locator("#trouble").isVisible(), false, "a server that is away is no end");
          server.env.DRAFT_PACE_MS = "20";
          await server.start();
          assert.match(await demo.trouble(), text);
          await demo.state("failed");
          await demo.button("Start it anew").click();
          await demo.state("ended");
          assert.equal(await demo.page.locator("#trouble").isVisible(), false);
          const { lost, repeated, received } = await demo.counters();
          assert.ok(received > 20);
          assert.deepEqual({ lost, repeated }, { lost: 0, repeated: 0 });
        }));
    }
  }

  test("a reload of a draft that has ended and is forgotten shows an empty page, with the brief", () =>
    on({ DRAFT_PACE_MS: "10" }, async (demo, server) => {
      await demo.draft("native");
      await demo.state("ended");
      await server.stop();
      await server.start();
      await demo.page.reload();
      await demo.state("failed");
      assert.equal(await demo.page.locator("#trouble").isVisible(), false);
      assert.match(await demo.page.locator("#brief").inputValue(), /billing/);
    }));
});
