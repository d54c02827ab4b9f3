// What keeps the server from starting is said in one line, as people write it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { test } from "node:test";
import { binary } from "./lab.mjs";

function refused(env, ...args) {
  const { status, stdout, stderr } = spawnSync(binary, args, { env, encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 1);
  assert.equal(stdout, "");
  return stderr;
}

test("a wrong argument, a wrong variable and a port that is taken are named", async (t) => {
  const holder = createServer().listen(0, "127.0.0.1");
  t.after(() => holder.close());
  await once(holder, "listening");
  const { port } = holder.address();
  assert.equal(refused({}, "8080"), "Error: `8080` given, no argument expected; --help says more\n");
  assert.equal(refused({ PORT: "http" }), "Error: PORT: `http` given, a port number expected\n");
  assert.equal(
    refused({ SSE_BUFFER_MAX_EVENTS: "few" }),
    "Error: SSE_BUFFER_MAX_EVENTS: `few` given, a whole number, at least 1 expected\n",
  );
  assert.match(
    refused({ PORT: String(port) }),
    new RegExp(`^Error: cannot listen on 127\\.0\\.0\\.1:${port}: [^\n]*; set PORT to a free port\n$`),
  );
});
