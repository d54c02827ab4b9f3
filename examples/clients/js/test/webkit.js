// WebKit: its MiniBrowser, by the HTTP of WebDriver. It has as much of Playwright's face as the tests use.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

const DRIVER = process.env.WEBKIT_DRIVER || "WebKitWebDriver";
/** How long a script of a test may take. */
const SCRIPT_MS = 120_000;
const POLL_MS = 50;

/** Opens pages: each in a browser of its own, as a driver has one session, which is kept for the next page. */
export async function webkit() {
  const display = process.env.DISPLAY ? null : await screen();
  const env = { ...process.env, DISPLAY: process.env.DISPLAY || display.name };
  const all = [];
  const free = [];
  return {
    async newPage() {
      if (free.length === 0) {
        const driver = await drive(env);
        all.push(driver);
        free.push(driver);
      }
      const driver = free.pop();
      return new Page(driver, async () => {
        await driver.ask("POST", "/url", { url: "about:blank" });
        free.push(driver);
      });
    },
    async close() {
      await Promise.all(all.map((driver) => driver.close()));
      display?.close();
    },
  };
}

class Page {
  #driver;
  #release;

  constructor(driver, release) {
    this.#driver = driver;
    this.#release = release;
  }

  goto(url) {
    return this.#driver.ask("POST", "/url", { url });
  }

  reload() {
    return this.#driver.ask("POST", "/refresh", {});
  }

  /** Calls a function in the page. */
  async evaluate(call, arg = null) {
    const script = `const [arg, done] = arguments;
      Promise.resolve(arg).then(${call}).then(
        (value) => done(JSON.stringify({ value })),
        (error) => done(JSON.stringify({ error: String(error) + "\\n" + error?.stack })));`;
    const { value, error } = JSON.parse(await this.#driver.ask("POST", "/execute/async", { script, args: [arg] }));
    if (error) throw new Error(error);
    return value;
  }

  async waitForFunction(call, arg, { timeout = 30_000 } = {}) {
    const end = Date.now() + timeout;
    while (!(await this.evaluate(call, arg))) {
      if (Date.now() > end) throw new Error(`waited for in vain: ${call}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Nobody tells of what happens in the page. */
  on() {}

  close() {
    return this.#release();
  }
}

async function drive(env) {
  const port = await freePort();
  const child = spawn(DRIVER, [`--port=${port}`], { env, stdio: "ignore" });
  const ask = async (method, path, body) => {
    const init = { method, body: body && JSON.stringify(body) };
    const { value } = await (await fetch(`http://127.0.0.1:${port}${path}`, init)).json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  for (let tries = 1; ; tries += 1) {
    const isUp = await ask("GET", "/status").catch(() => false);
    if (isUp) break;
    if (tries > 200) throw new Error(`${DRIVER} has not started`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { sessionId } = await ask("POST", "/session", { capabilities: {} });
  const session = (method, path, body) => ask(method, `/session/${sessionId}${path}`, body);
  await session("POST", "/timeouts", { script: SCRIPT_MS });
  const close = async () => {
    await session("DELETE", "").catch(() => {});
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
  return { ask: session, close };
}

/** A screen that nobody sees: this browser does not open without one. */
async function screen() {
  const child = spawn("Xvfb", ["-displayfd", "3", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const [number] = await once(child.stdio[3], "data");
  return { name: `:${String(number).trim()}`, close: () => child.kill() };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
