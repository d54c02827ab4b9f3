// What the tests need: a server that can be killed and started again, a browser, and a page with its buttons.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, firefox } from "playwright-core";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../..");
export const binary = process.env.DRAFT_GRAPH ?? path.join(root, "target/debug/examples/draft-graph");

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** BROWSER is `chromium`, as without it, or `firefox`: as the distribution packages them. */
const ENGINES = {
  chromium: () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS }),
  firefox: () => firefox.launch({ executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", channel: "moz-firefox" }),
};
export const launch = () => ENGINES[process.env.BROWSER ?? "chromium"]();

/** A port below those that the system itself gives away: nobody gets it while the server that has it is started anew. */
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

/** The example on a port that it keeps over a restart. Kill it with `stop`. */
export class Server {
  #process = null;

  static async start(env = {}) {
    const server = new Server();
    server.port = await freePort();
    server.env = env;
    await server.start();
    return server;
  }

  get base() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    const env = { ...process.env, RUST_LOG: "error", ...this.env, PORT: String(this.port) };
    for (const name of ["REDIS_URL", "SSE_RESUME_SECRET", "HMAC_SECRET"]) if (!this.env[name]) delete env[name];
    this.#process = spawn(binary, { env, stdio: ["ignore", "pipe", "inherit"] });
    this.said = "";
    const { stdout } = this.#process;
    await new Promise((done, fail) => {
      stdout.on("data", (chunk) => {
        this.said += chunk;
        if (this.said.includes("3. Look at")) done();
      });
      stdout.on("end", () => fail(new Error(`the server has not started: ${this.said}`)));
    });
  }

  /** As by a crash: nobody is told. */
  async stop() {
    if (this.#process === null || this.#process.exitCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
    this.#process = null;
  }
}

// Generous: other things may go on on the machine.
const WAIT = { timeout: 90_000 };

/** The page, by what a person does on it and reads from it. */
export class Demo {
  errors = [];

  static async open(browser, url, { width = 1280, height = 900, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, ...options });
    context.setDefaultTimeout(WAIT.timeout);
    const page = await context.newPage();
    const demo = new Demo(page);
    await page.goto(url);
    return demo;
  }

  /** Does this with a page of its own, and wants no error in it. */
  static async visit(browser, url, options, does) {
    const demo = await Demo.open(browser, url, options);
    try {
      await does(demo);
      assert.deepEqual(demo.errors, []);
    } finally {
      await demo.close();
    }
  }

  constructor(page) {
    this.page = page;
    // The browser itself reports every request that fails, and here they are made to.
    const isNetwork = (text) => /^(Failed to load resource|Firefox can’t establish a connection|The connection to .* was interrupted)/.test(text);
    page.on("pageerror", ({ message }) => isNetwork(message) || this.errors.push(`thrown: ${message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !isNetwork(message.text())) this.errors.push(message.text());
    });
  }

  close() {
    return this.page.context().close();
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  async draft(client, example = "Build or buy") {
    await this.page.getByRole("radio", { name: client === "js" ? "JS client" : "EventSource" }).check();
    await this.button(example).click();
    await this.page.locator("#start").click();
  }

  /** For a draft that is cancelled in the end: so slow that it does not end by itself before, also on a busy machine. */
  async slowly() {
    const pace = this.page.locator("#pace");
    await pace.evaluate((select) => select.add(new Option("very slow", "2500")));
    await pace.selectOption("2500");
  }

  state(name) {
    return this.page.locator(`#state[data-state=${name}]`).waitFor(WAIT);
  }

  /** From now on, all that is said of the connection. */
  async overhears() {
    await this.page.evaluate(() => {
      const text = document.getElementById("state-text");
      globalThis.overheard = [text.textContent];
      new MutationObserver(() => globalThis.overheard.push(text.textContent)).observe(text, { childList: true, characterData: true, subtree: true });
    });
  }

  overheard() {
    return this.page.evaluate(() => globalThis.overheard);
  }

  async number(name) {
    return Number(await this.page.locator(`#${name}`).textContent());
  }

  async counters() {
    const [received, lost, repeated, reconnects] = await Promise.all(
      ["received", "lost", "repeated", "reconnects"].map((name) => this.number(name)),
    );
    return { received, lost, repeated, reconnects };
  }

  /** Until so many events have come. */
  received(count) {
    return this.page.waitForFunction((count) => Number(document.getElementById("received").textContent) >= count, count, WAIT);
  }

  /** Until the log has a line of this phase, the `count`th one. */
  logged(phase, count = 1) {
    const last = ({ phase, count }) => document.querySelectorAll(`#log tr.${phase}`).length >= count;
    return this.page.waitForFunction(last, { phase, count }, WAIT);
  }

  log(phase) {
    return this.page.locator(`#log tr.${phase} td.what`).allTextContents();
  }

  /** The seqs that the log has, in order. */
  seqs() {
    return this.page.$$eval("#log td.seq", (cells) => cells.map((cell) => cell.textContent).filter(Boolean).map(Number));
  }

  /** What is drawn, once it is at rest: each node by kind and label, and how many edges. */
  async drawn() {
    // A frame, so that the last event is drawn.
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    // Boxes glide to new places, and on their way lie on one another.
    const isAtRest = () => document.getAnimations().every((animation) => animation.effect.getComputedTiming().endTime === Infinity);
    await this.page.waitForFunction(isAtRest, undefined, WAIT);
    return this.page.evaluate(() => ({
      nodes: [...document.querySelectorAll("#canvas g.node > g > title")].map((title) => title.textContent).sort(),
      edges: document.querySelectorAll("#canvas .edge path.line").length,
    }));
  }

  draftOf() {
    return this.page.evaluate(() => JSON.parse(sessionStorage.getItem("draft-graph page")));
  }

  trouble() {
    return this.page.locator("#trouble:not([hidden])").waitFor(WAIT).then(() => this.page.locator("#trouble-text").textContent());
  }
}

/** The data of a draft's events, as the server gives them to somebody else. */
export async function eventsOf(server, share) {
  const answer = await fetch(`${server.base}/assist/draft-graph/watch?share=${share}`);
  const text = await answer.text();
  return text.split("\n").filter((line) => line.startsWith('data: {"stage"'));
}
