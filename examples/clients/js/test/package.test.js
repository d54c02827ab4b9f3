// What is published: packed, and installed into an empty folder.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = fileURLToPath(new URL("..", import.meta.url));

test("the package holds the module, its types and what says what it is, and nothing else", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--loglevel=error"], { cwd: here });
  const packed = JSON.parse(stdout);
  const { files } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "package.json",
    "resumable.d.ts",
    "resumable.js",
  ]);
});

test("packed and installed into an empty folder, it can be imported, and types are found", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "resumable-"));
  t.after(() => rm(folder, { recursive: true }));
  const { stdout } = await run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", folder], {
    cwd: here,
  });
  const packed = JSON.parse(stdout);
  const { filename } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", join(folder, filename)], {
    cwd: folder,
  });
  const program = `
    import * as all from "tower-resume-client";
    const stream = all.resumable("http://127.0.0.1:9/", { retry: { attempts: 1 } });
    const { code } = await stream.next().catch((error) => error);
    console.log(JSON.stringify([Object.keys(all).sort(), code]));`;
  await writeFile(join(folder, "use.js"), program);
  const used = await run(process.execPath, ["use.js"], { cwd: folder });
  assert.deepEqual(JSON.parse(used.stdout), [
    ["ResumableError", "ResumableEventSource", "resumable", "storageOf"],
    "gave_up",
  ]);
  const types = await readFile(join(here, "test/types.ts"));
  await writeFile(join(folder, "types.ts"), types);
  await writeFile(join(folder, "tsconfig.json"), await readFile(join(here, "test/tsconfig.json")));
  await run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--project", folder]);
});
