// The shared scenarios, on Node: real servers behind a proxy that breaks connections at random bytes.
import { after, describe, test } from "node:test";
import { storageOf } from "../resumable.js";
import { drive } from "./drive.js";
import { suite } from "./suite.js";

const shared = await suite();
after(() => shared.stop());

/** A `Storage`, for as long as a run takes. */
function session() {
  const map = new Map();
  return storageOf({
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, String(value)),
    removeItem: (key) => map.delete(key),
  });
}

describe("scenarios on Node", { concurrency: 8 }, async () => {
  for (const { name, about, seeds } of await shared.scenarios()) {
    for (const seed of seeds) {
      test(`${name} ${seed}: ${about}`, { timeout: 60_000 }, async () => {
        const storage = session();
        await shared.run(name, seed, "js-node", (plan, taken) => drive(plan, shared.control, { storage, taken }));
      });
    }
  }
});
