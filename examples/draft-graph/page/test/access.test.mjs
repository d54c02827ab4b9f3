// For everybody: axe in both schemes, contrast by numbers, keyboard, narrow screens, little motion, few announcements.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { Demo, Server, launch } from "./lab.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start({ DRAFT_PACE_MS: "10" });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const on = (options, does) => Demo.visit(browser, server.base, options, does);

async function judge(demo, where) {
  // By the driver, and not as a script of the page's: its policy has none but its own.
  await demo.page.evaluate(axe);
  const { violations, passes } = await demo.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 20, "axe has looked at nothing");
  const told = violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(told, []);
}

// They wait for most of the time, so a few of them at once.
describe("the page for everybody", { concurrency: 3 }, () => {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing in any state, ${colorScheme}`, () =>
      on({ colorScheme, reducedMotion: "reduce" }, async (demo) => {
        await judge(demo, "idle");
        await demo.page.locator("#start").click();
        await judge(demo, "with an error");
        await demo.slowly();
        await demo.draft("native");
        await demo.received(6);
        await demo.button("Cut the connection").click();
        await demo.logged("lost");
        await judge(demo, "cut");
        await demo.logged("live");
        await judge(demo, "running");
        await demo.button("Cancel the draft").click();
        await demo.state("ended");
        await demo.page.locator("summary").click();
        await judge(demo, "ended");
        await demo.page.goto(`${server.base}/?watch=0b7e6a9e-3f60-4f0e-9c3a-0d9a3b0f5b11`);
        await demo.trouble();
        await judge(demo, "in trouble");
      }));

    test(`every text has a contrast of at least 4.5, ${colorScheme}`, () =>
      on({ colorScheme }, async (demo) => {
        const kinds = ["decision", "option", "factor", "outcome", "risk", "goal", "action"];
        const pairs = [
          ...["ground", "panel", "sunk"].flatMap((ground) => ["ink", "quiet", "accent"].map((text) => [text, ground])),
          ["on-accent", "accent"],
          ["accent", "accent-soft"],
          ["bad", "panel"],
          ["bad", "bad-soft"],
          ["replayed", "panel"],
          ...kinds.flatMap((kind) => [[kind, `${kind}-soft`], ["ink", `${kind}-soft`], ["quiet", `${kind}-soft`]]),
        ];
        // What is not text, and has to be seen: at least 3.
        const marks = [...kinds, "raises", "lowers", "edge", "bad", "replayed", "accent"].map((mark) => [mark, "panel"]);
        const ratios = await demo.page.evaluate(
          (pairs) => {
            const style = getComputedStyle(document.documentElement);
            const light = (name) => {
              const hex = style.getPropertyValue(`--${name}`).trim();
              const parts = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
              const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            return pairs.map(([a, b]) => {
              const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
              return (high + 0.05) / (low + 0.05);
            });
          },
          [...pairs, ...marks],
        );
        [...pairs, ...marks].forEach(([a, b], i) => {
          const least = i < pairs.length ? 4.5 : 3;
          assert.ok(ratios[i] >= least, `${a} on ${b}: ${ratios[i].toFixed(2)}`);
        });
      }));
  }

  test("nothing is wider than a phone, and every label is inside of its box and can be read", () =>
    on({ width: 360, height: 740 }, async (demo) => {
      const { page } = demo;
      const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.equal(await overflow(), 0, "idle");
      for (const example of await page.locator("#examples button").allTextContents()) {
        await page.locator("#pace").selectOption("");
        await demo.draft("native", example);
        await demo.state("ended");
        await demo.drawn();
        const folded = page.locator("details:not([open]) summary");
        if ((await folded.count()) > 0) await folded.first().click();
        assert.equal(await overflow(), 0, example);
        const problems = await page.evaluate(() => {
          const problems = [];
          const scale = document.querySelector("#canvas svg").getScreenCTM().a;
          const nodes = [...document.querySelectorAll("#canvas .node")].map((node) => {
            const shape = node.querySelector(".shape").getBoundingClientRect();
            for (const text of node.querySelectorAll("text")) {
              const size = Number.parseFloat(getComputedStyle(text).fontSize) * scale;
              if (size < 11) problems.push(`${text.textContent}: ${size} px`);
              const box = text.getBoundingClientRect();
              const inside = box.left >= shape.left && box.right <= shape.right && box.top >= shape.top && box.bottom <= shape.bottom;
              if (!inside) problems.push(`${text.textContent} is wider than its box`);
            }
            return shape;
          });
          nodes.forEach((a, i) =>
            nodes.slice(i + 1).forEach((b) => {
              if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) problems.push("two boxes overlap");
            }),
          );
          // No two edges lie on one another: each ends at a place of its own.
          const ends = [...document.querySelectorAll("#canvas .edge .line")].map((line) => {
            const { x, y } = line.getPointAtLength(line.getTotalLength());
            return `${Math.round(x)} ${Math.round(y)}`;
          });
          if (new Set(ends).size !== ends.length) problems.push("two edges end at the same place");
          return problems;
        });
        assert.deepEqual(problems, [], example);
      }
    }));

  test("no edge runs through a box that it has nothing to do with", async () => {
    for (const width of [360, 768, 1280]) {
      await on({ width, reducedMotion: "reduce" }, async (demo) => {
        for (const example of ["Pricing", "Hire or contract", "Technical debt"]) {
          await demo.draft("native", example);
          await demo.state("ended");
          await demo.drawn();
          const through = await demo.page.evaluate(() => {
            const svg = document.querySelector("#canvas svg").getBoundingClientRect();
            const boxes = [...document.querySelectorAll("#canvas .node")].map((node) => {
              const { left, right, top, bottom } = node.querySelector(".shape").getBoundingClientRect();
              return { id: node.dataset.id, left: left - svg.left, right: right - svg.left, top: top - svg.top, bottom: bottom - svg.top };
            });
            const found = [];
            for (const group of document.querySelectorAll("#canvas .edge:has(.line)")) {
              const line = group.querySelector(".line");
              for (let at = 0; at < line.getTotalLength(); at += 4) {
                const { x, y } = line.getPointAtLength(at);
                const hit = boxes.find((box) => x > box.left + 1 && x < box.right - 1 && y > box.top + 2 && y < box.bottom - 2);
                if (hit && hit.id !== group.dataset.from && hit.id !== group.dataset.to) found.push(`${group.dataset.from} → ${group.dataset.to} through ${hit.id}`);
              }
            }
            return [...new Set(found)];
          });
          assert.deepEqual(through, [], `${example} at ${width}`);
        }
      });
    }
  });

  test("it can all be done by keyboard, and the focus is seen", () =>
    on({}, async (demo) => {
      const { page } = demo;
      const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id || document.activeElement.value);
      const seen = () =>
        page.evaluate(() => {
          const element = document.activeElement;
          const shown = element.matches(".switch input") ? element.nextElementSibling : element;
          const { outlineStyle, outlineWidth } = getComputedStyle(shown);
          return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
        });
      const reach = async (name) => {
        for (let presses = 0; presses < 60; presses += 1) {
          await page.keyboard.press("Tab");
          if ((await page.evaluate(() => document.activeElement.tagName)) !== "BODY") assert.ok(await seen(), `${await focused()} shows no focus`);
          if ((await focused()) === name) return;
        }
        assert.fail(`${name} is not reached`);
      };
      await reach("Pricing");
      await page.keyboard.press("Enter");
      await demo.slowly();
      await page.evaluate(() => document.getElementById("brief").focus());
      await reach("Draft the graph");
      await page.keyboard.press("Enter");
      await demo.received(3);
      await reach("Cut the connection");
      await page.keyboard.press("Enter");
      await demo.logged("replay");
      await reach("Cancel the draft");
      await page.keyboard.press("Space");
      await demo.state("ended");
    }));

  test("a screen reader is told little, and what matters", () =>
    on({}, async (demo) => {
      await demo.page.evaluate(() => {
        globalThis.said = [];
        const region = document.getElementById("say");
        new MutationObserver(() => globalThis.said.push(region.textContent)).observe(region, { childList: true });
      });
      await demo.page.locator("#pace").selectOption("120");
      await demo.draft("native");
      await demo.state("ended");
      await demo.page.waitForFunction(() => globalThis.said.at(-1)?.includes("complete"));
      const said = await demo.page.evaluate(() => globalThis.said);
      const received = await demo.number("received");
      assert.ok(said.length <= 6 && received > 20, `${said.length} announcements of ${received} events`);
      assert.match(said.at(-1), new RegExp(`^The draft is complete. ${received} events received, 0 lost, 0 repeated`));
      assert.equal(await demo.page.locator("[aria-live], [role=status], [role=log]").count(), 1);
      assert.match(await demo.page.locator("#words-summary").textContent(), /^\d+ nodes and \d+ edges: 1 decision/);
    }));

  test("who wants little motion gets none", () =>
    on({ reducedMotion: "reduce" }, async (demo) => {
      await demo.page.locator("#pace").selectOption("900");
      await demo.draft("native");
      await demo.received(5);
      const moving = () => demo.page.evaluate(() => document.getAnimations().length);
      assert.equal(await moving(), 0);
      await demo.button("Cut the connection").click();
      await demo.logged("lost");
      assert.equal(await moving(), 0);
    }));
});
