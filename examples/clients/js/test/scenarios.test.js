// The shared scenarios, on Node: real servers behind a proxy that breaks connections at random bytes.
import { after, describe, test } from "node:test";
import { storageOf } from "../resumable.js";
import { drive } from "./drive.js";
import { MOST, suite } from "./suite.js";

const shared = await suite();
const scenarios = await shared.scenarios();

/** What this runs on: Deno and Bun know Node's test runner, too. */
const runtime = globalThis.Deno ? "deno" : globalThis.Bun ? "bun" : "node";

/** A `Storage`, for as long as a run takes. */
function session() {
  const map = new Map();
  return storageOf({
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, String(value)),
    removeItem: (key) => map.delete(key),
  });
}

describe(`scenarios on ${runtime}`, { concurrency: 8 }, () => {
  after(() => shared.stop());
  for (const { name, about, seeds } of scenarios) {
    for (const seed of seeds) {
      test(`${name} ${seed}: ${about}`, { timeout: MOST }, async () => {
        const storage = session();
        await shared.run(name, seed, `js-${runtime}`, (plan, taken) => drive(plan, shared.control, { storage, taken }));
      });
    }
  }
});
