// The shared scenarios (examples/clients/scenarios): starts their server, and asks it for runs and verdicts.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How long a run may take: the suite itself forgets one that lasts longer. */
export const MOST = 120_000;

const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** An example of the crate, built. */
export function built(name) {
  const args = ["build", "--quiet", "--example", name, "--message-format=json"];
  const lines = execFileSync("cargo", args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 26 });
  const programs = lines
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line).executable);
  return programs.filter(Boolean).at(-1);
}

/** Starts a program; its first line that matches, and how to end it. */
export async function started(program, matches, env = {}) {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const found = line.match(matches);
    if (!found) continue;
    child.stdout.resume();
    const stop = async () => {
      child.stdin.end();
      child.kill();
      await gone;
    };
    return { found, stop };
  }
  throw new Error(`${program} ended before it had said where it serves`);
}

export async function suite() {
  const program = process.env.CLIENT_SCENARIOS || built("client-scenarios");
  const { found, stop } = await started(program, /"control":"([^"]+)"/);
  const control = found[1];
  const json = async (path, body) => {
    const init = body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const response = await fetch(control + path, init);
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.json();
  };
  return {
    control,
    stop,
    scenarios: () => json("/scenarios"),
    matrix: async () => (await fetch(`${control}/matrix`)).text(),
    /** A run, from its plan to its verdict. `part` drives a client until it ends or asks for a reload. */
    async run(scenario, seed, client, part) {
      const plan = await json("/runs", { scenario, seed, client });
      const seen = [];
      let done = { taken: 0, reload: true };
      while (done.reload) {
        done = await part(plan, done.taken);
        seen.push(...done.seen);
      }
      const { state, stats } = done;
      const verdict = await json(`/runs/${plan.run}/report`, { seen, state, stats });
      assert.ok(
        verdict.passed,
        `${verdict.problems.join("\n")}\n${JSON.stringify(verdict.run?.log, null, 1)}\n${JSON.stringify(stats)}`,
      );
      return verdict;
    },
  };
}
