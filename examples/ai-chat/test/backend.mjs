// Real processes for the tests: the example, a Redis for two of it, and a proxy that cuts.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const binary = process.env.AI_CHAT ?? path.join(root, "target/debug/examples/ai-chat");

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** What the example says where its environment keeps it from starting. */
export function refused(env) {
  const { status, stdout, stderr } = spawnSync(binary, { env, encoding: "utf8", timeout: 60_000 });
  return { status, stdout, stderr };
}

/** A node of the example. It is gone with the test. */
export async function node(t, { pace = 10, redis } = {}) {
  const env = {
    PATH: process.env.PATH,
    PORT: "0",
    CHAT_PACE_MS: String(pace),
    SSE_RESUME_SECRET: "a secret of the test, for all its nodes",
    ...(redis ? { REDIS_URL: redis } : {}),
  };
  const child = spawn(binary, { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => stop(child));
  for await (const line of createInterface(child.stdout)) {
    const found = /serves (http:\S+),/.exec(line);
    if (found) return found[1];
  }
  throw new Error("the example did not start");
}

/** A port below those that the system itself gives away: nobody gets it between this look at it and its use. */
async function freePort() {
  for (;;) {
    const server = net.createServer().listen(15_000 + Math.floor(Math.random() * 17_000), "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue;
    }
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
  }
}

/** A Redis of its own. */
export async function redis(t) {
  const dir = await mkdtemp(path.join(tmpdir(), "ai-chat-redis-"));
  const port = await freePort();
  const args = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir].map(String);
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    await stop(child);
    await rm(dir, { recursive: true });
  });
  for await (const line of createInterface(child.stdout)) {
    if (line.includes("Ready to accept connections")) return `redis://127.0.0.1:${port}`;
  }
  throw new Error("redis-server did not start");
}

/** A way to a node that can be cut: every connection that is open is reset. */
export async function proxy(t, target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      open.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => (open.delete(from), to.destroy()));
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A socket that is being shut down cannot be reset: Node 20 then never closes it, and hangs at its exit.
  const cut = () => open.forEach((socket) => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()));
  t.after(() => (server.close(), cut()));
  return { url: `http://127.0.0.1:${server.address().port}`, cut };
}
