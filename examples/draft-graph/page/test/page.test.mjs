// The page in a real browser, with the example as its server: drafts, cuts, outages, reloads, other viewers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Demo, Server, eventsOf, launch } from "./lab.mjs";

let browser;
let server;

before(async () => {
  browser = await launch();
  // Slow enough for what is done in the middle of a draft, also on a busy machine.
  server = await Server.start({ DRAFT_PACE_MS: "900" });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const on = (options, does) => Demo.visit(browser, server.base, options, does);

/** All that the server has sent is there, once, in order, and drawn. */
async function isWhole(demo, { reconnects = 0 } = {}) {
  await demo.state("ended");
  const { share } = await demo.draftOf();
  const sent = await eventsOf(server, share);
  const counters = await demo.counters();
  assert.deepEqual({ ...counters, reconnects: 0 }, { received: sent.length, lost: 0, repeated: 0, reconnects: 0 });
  assert.ok(counters.reconnects >= reconnects, `${counters.reconnects} reconnects, at least ${reconnects} expected`);
  assert.deepEqual(await demo.seqs(), sent.map((_, i) => i + 1));
  const { payload } = JSON.parse(sent.at(-1).slice("data: ".length));
  const drawn = await demo.drawn();
  assert.deepEqual(drawn.nodes, payload.graph.nodes.map((node) => `${node.kind}: ${node.label}`).sort());
  assert.equal(drawn.edges, payload.graph.edges.length);
  assert.equal(await demo.page.locator("#nodes tr").count(), payload.graph.nodes.length);
  assert.equal(await demo.page.locator("#edges tr").count(), payload.graph.edges.length);
  assert.equal(await demo.page.locator("#progress").evaluate((bar) => bar.value), 1);
  assert.match(await demo.page.locator("#facts").textContent(), new RegExp(`event ${sent.length} of ${sent.length}$`));
}

// They wait for most of the time, so a few of them at once.
describe("the page", { concurrency: 4 }, () => {
  test("what the server says when it starts leads to the page", () => {
    const [first, ...rest] = server.said.split("\n");
    assert.equal(first, `Open ${server.base} in a browser.`);
    assert.ok(rest.length > 0);
  });

  test("DRAFT_PAGE=false turns the page off, and what only the page has use for", async () => {
    const bare = await Server.start({ DRAFT_PAGE: "false" });
    try {
      for (const [method, path] of [["GET", "/"], ["GET", "/resumable.js"], ["POST", "/page/cut?viewer=x"]]) {
        assert.equal((await fetch(bare.base + path, { method })).status, 404, path);
      }
      assert.equal((await fetch(`${bare.base}/healthz`)).status, 200);
      assert.doesNotMatch(bare.said, /in a browser/);
    } finally {
      await bare.stop();
    }
    await assert.rejects(Server.start({ DRAFT_PAGE: "perhaps" }), /has not started/);
  });

  for (const client of ["native", "js"]) {
    test(`${client}: a draft is drawn to its end`, () =>
      on({}, async (demo) => {
        // As slow as all drafts here: what a browser that stands still for a while is given together is drawn together.
        await demo.page.evaluate(() => {
          globalThis.sizes = new Set();
          const count = () => globalThis.sizes.add(document.querySelectorAll("#canvas g.node").length);
          new MutationObserver(count).observe(document.getElementById("canvas"), { childList: true, subtree: true });
        });
        await demo.draft(client, "Pricing");
        await isWhole(demo);
        const sizes = await demo.page.evaluate(() => globalThis.sizes.size);
        assert.ok(sizes > 5, `drawn in ${sizes} pieces, and not node by node`);
        assert.equal((await demo.counters()).reconnects, 0);
        assert.match((await demo.log("end")).join(), /complete/);
        assert.equal(await demo.button("Cut the connection").isDisabled(), true);
      }));

    test(`${client}: three cuts lose nothing and repeat nothing`, () =>
      on({}, async (demo) => {
        await demo.draft(client);
        for (const cut of [1, 2, 3]) {
          // At another place each time, however many came together when it was back.
          await demo.received((await demo.number("received")) + 2);
          await demo.button("Cut the connection").click();
          await demo.logged("lost", cut);
          await demo.logged("replay", cut);
        }
        await isWhole(demo, { reconnects: 3 });
        assert.equal(await demo.page.locator("#ribbon b").count(), 3);
      }));

    test(`${client}: five seconds offline lose nothing`, () =>
      on({}, async (demo) => {
        await demo.draft(client);
        await demo.received(5);
        await demo.overhears();
        const before = performance.now();
        await demo.button("Go offline 5 s").click();
        await demo.logged("replay");
        assert.ok(performance.now() - before > 4500, "it was back before the outage was over");
        const overheard = await demo.overheard();
        assert.ok(overheard.some((text) => /^offline for \d s$/.test(text)), overheard.join(", "));
        await isWhole(demo, { reconnects: 1 });
        // Who is away for as long has always missed something.
        assert.ok((await demo.page.locator("#ribbon i.replayed").count()) > 0);
      }));

    test(`${client}: a reload in the middle goes on, and one at the end still shows the graph`, () =>
      on({}, async (demo) => {
        await demo.draft(client, "Technical debt");
        await demo.received(5);
        const { share } = await demo.draftOf();
        await Promise.all([demo.page.waitForEvent("load"), demo.button("Reload the page").click()]);
        await demo.logged("live");
        assert.equal((await demo.draftOf()).share, share, "a new draft was begun");
        assert.equal(await demo.page.locator(`input[value=${client}]`).isChecked(), true);
        await demo.button("Cut the connection").click();
        await isWhole(demo, { reconnects: 1 });
        await Promise.all([demo.page.waitForEvent("load"), demo.page.reload()]);
        await isWhole(demo);
      }));

    test(`${client}: a second viewer sees the same graph from the start, and may not cancel`, () =>
      on({}, async (demo) => {
        await demo.draft(client);
        await demo.received(8);
        const opened = demo.page.context().waitForEvent("page");
        await demo.page.getByRole("link", { name: "Open a second viewer" }).click();
        const second = new Demo(await opened);
        // A page is there before all of its document has come.
        await second.page.waitForLoadState();
        await second.received(8);
        assert.equal(await second.page.locator("#following").isVisible(), true);
        assert.equal(await second.page.locator("#cancel").isVisible(), false);
        // The one is cut, the other one is not.
        await second.button("Cut the connection").click();
        await second.logged("replay", 2);
        await isWhole(demo);
        await second.state("ended");
        assert.deepEqual(await second.drawn(), await demo.drawn());
        const { received, lost, repeated } = await second.counters();
        assert.deepEqual({ received, lost, repeated }, { received: (await demo.counters()).received, lost: 0, repeated: 0 });
        assert.ok((await second.counters()).reconnects >= 1);
        assert.equal((await demo.counters()).reconnects, 0);
        assert.deepEqual(second.errors, []);
      }));

    test(`${client}: a draft is cancelled`, () =>
      on({}, async (demo) => {
        await demo.draft(client);
        await demo.received(3);
        await demo.button("Cancel the draft").click();
        await demo.state("ended");
        assert.equal(await demo.page.locator("#doing").textContent(), "The draft was cancelled.");
        const { lost, repeated } = await demo.counters();
        assert.deepEqual({ lost, repeated }, { lost: 0, repeated: 0 });
      }));
  }

  test("a brief that will not do is told beside the field, and nothing is sent", () =>
    on({}, async (demo) => {
      const { page } = demo;
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));
      const error = page.locator("#brief-error");
      await demo.page.locator("#start").click();
      assert.match(await error.textContent(), /Say what is to be decided/);
      await page.getByLabel("What is to be decided?").fill("Too short, is it not?");
      assert.match(await error.textContent(), /too short to draft from: 9 more characters/);
      await page.locator("#start").click();
      assert.equal(await page.locator("#brief").getAttribute("aria-invalid"), "true");
      assert.equal(await page.evaluate(() => document.activeElement.id), "brief");
      await page.locator("#brief").fill("x".repeat(5001));
      assert.match(await error.textContent(), /too long: 1 characters? over 5,000/);
      // Counted as the server counts: by characters, be they however wide.
      await page.locator("#brief").fill("🍏".repeat(30));
      assert.equal(await error.textContent(), "");
      assert.match(await page.locator("#brief-count").textContent(), /^30 of 30 to 5,000/);
      assert.deepEqual(asked.filter((url) => url.includes("/assist/")), []);
    }));

  test("a second draft stands in for the first", () =>
    on({}, async (demo) => {
      await demo.draft("native", "Pricing");
      await demo.received(3);
      await demo.page.locator("#pace").selectOption("120");
      await demo.draft("js", "Migrate or stay");
      await isWhole(demo);
      assert.deepEqual(await demo.log("lost"), [], "the first was left, and not lost");
    }));

  test("without the client's module the browser's EventSource does it", () =>
    on({}, async (demo) => {
      await demo.page.route("**/resumable.js", (route) => route.abort());
      await demo.page.locator("#pace").selectOption("120");
      await demo.draft("js");
      await isWhole(demo);
      assert.match(await demo.page.locator("#client-hint").textContent(), /could not be loaded/);
      assert.equal(await demo.page.locator("input[value=js]").isDisabled(), true);
    }));

  test("who follows what there is not is told so", () =>
    on({}, async (demo) => {
      for (const client of ["native", "js"]) {
        await demo.page.goto(`${server.base}/?watch=0b7e6a9e-3f60-4f0e-9c3a-0d9a3b0f5b11&client=${client}`);
        assert.match(await demo.trouble(), /no such draft/);
      }
    }));
});
