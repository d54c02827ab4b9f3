// What `useChat` does, without a browser: the SDK's chat and its transport against real nodes.
import assert from "node:assert/strict";
import { test } from "node:test";

import { node, proxy, redis, refused } from "./backend.mjs";
import { Chat, history, kept, textOf, until } from "./chat.mjs";

const QUESTION = "Why do streams break?";
/** The answer quotes it, so it takes longer than any test: it does not end by itself before it is stopped. */
const LONG = `${QUESTION} ${"Why? ".repeat(5_000)}`;

/** The answer to `QUESTION`, as a node that nobody disturbs gives it. */
async function wholeAnswer(base) {
  const chat = new Chat("undisturbed", base);
  await chat.sendMessage({ text: QUESTION });
  assert.equal(chat.status, "ready", chat.error);
  return chat.answer;
}

/** Sends the question, and is back when some words have come. */
async function ask(chat, text = QUESTION) {
  const sent = chat.sendMessage({ text });
  await until("some words have come", () => chat.answer.split(" ").length > 5 || chat.error);
  assert.equal(chat.error, undefined);
  return sent;
}

/** Attaches a chat until it has seen an end, again where it is turned away: a busy machine's Redis may take longer than a node waits. */
async function follow(chat) {
  const deadline = Date.now() + 120_000;
  do {
    await chat.resumeStream();
    if (Date.now() > deadline) throw chat.error ?? new Error("nothing was there to follow");
  } while (chat.status === "error" || chat.answer === "");
}

const stop = (base, id, body) =>
  fetch(`${base}/api/chat/${encodeURIComponent(id)}/stop`, {
    method: "POST",
    ...(body ? { headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {}),
  });

test("an answer comes whole, and is history then", async (t) => {
  const base = await node(t, { pace: 1 });
  const whole = await wholeAnswer(base);
  assert.match(whole, /^You asked: “Why do streams break\?” .* of the chat\.$/);
  const [question, answer] = await history(base, "undisturbed");
  assert.deepEqual([textOf(question), textOf(answer)], [QUESTION, whole]);
});

test("a chat whose connection was cut attaches again and has every word once", async (t) => {
  // Ten seconds, so that it goes on after the last cut also where this machine has stood still for some of them.
  const [base, whole] = await Promise.all([node(t, { pace: 100 }), node(t, { pace: 1 }).then(wholeAnswer)]);
  const way = await proxy(t, base);
  const chat = new Chat("cut", way.url);
  const sent = chat.sendMessage({ text: QUESTION });
  for (let cut = 0; cut < 3; cut += 1) {
    const before = chat.answer.length;
    const streams = () => chat.status === "streaming" && chat.answer.length > before + 20;
    await until("more words have come", () => streams() || chat.answer === whole);
    assert.equal(chat.status, "streaming");
    way.cut();
    await until("the loss is seen", () => chat.status === "error");
    void chat.resumeStream();
  }
  await sent;
  await until("the answer is whole", () => chat.status === "ready");
  assert.equal(chat.answer, whole);
  assert.deepEqual(chat.messages.map((message) => message.role), ["user", "assistant"]);
});

test("a page that is opened again has the question from the history and the answer from its start", async (t) => {
  const [base, whole] = await Promise.all([node(t, { pace: 60 }), node(t, { pace: 1 }).then(wholeAnswer)]);
  const left = new Chat("again", base);
  ask(left);
  await until("some words have come", () => left.answer.length > 20);
  await left.stop();
  const opened = new Chat("again", base, await history(base, "again"));
  await opened.resumeStream();
  assert.equal(opened.status, "ready", opened.error);
  assert.equal(opened.answer, whole);
  assert.deepEqual(opened.messages.map((message) => message.role), ["user", "assistant"]);
});

test("where nothing is under way there is nothing to resume", async (t) => {
  const base = await node(t, { pace: 1 });
  await wholeAnswer(base);
  for (const id of ["undisturbed", "never", "with/slash ü"]) {
    const chat = new Chat(id, base);
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.error, chat.messages.length], ["ready", undefined, 0], id);
    const response = await fetch(`${base}/api/chat/${encodeURIComponent(id)}/stream`);
    assert.equal(response.status, 204);
  }
});

test("leaving stops nothing, stopping does, and what was said stays", async (t) => {
  const base = await node(t, { pace: 20 });
  const chat = new Chat("stopped", base);
  const sent = ask(chat, LONG);
  await until("some words have come", () => chat.answer.length > 20);
  const follower = new Chat("stopped", base);
  const followed = follower.resumeStream();
  await until("the other one follows", () => follower.answer.length > 20);
  assert.equal((await stop(base, "stopped")).status, 204);
  await Promise.all([sent, followed]);
  const said = await kept(base, "stopped");
  assert.match(said, /^You asked: /);
  assert.doesNotMatch(said, /of the chat\.$/);
  for (const seen of [chat.answer, follower.answer]) {
    assert.ok(said.startsWith(seen), `${seen} <> ${said}`);
  }
  assert.equal((await fetch(`${base}/api/chat/stopped/stream`)).status, 204);
  assert.equal((await stop(base, "stopped")).status, 204);
});

test("a late click on stop does not stop the next answer", async (t) => {
  const base = await node(t);
  const chat = new Chat("late", base);
  await chat.sendMessage({ text: QUESTION });
  const first = chat.streamId;
  assert.match(first, /^[0-9a-f-]{36}$/);
  const sent = ask(chat, LONG);
  await until("the next one has begun", () => chat.streamId !== first && chat.status === "streaming");
  const second = chat.streamId;
  assert.equal((await stop(base, "late", { streamId: first })).status, 204);
  // One that had been stopped would not be there any more.
  const before = chat.answer.length;
  const attached = new Chat("late", base);
  void attached.resumeStream();
  await until("it goes on", () => attached.answer.length > before + 20);
  assert.equal(attached.streamId, second);
  assert.equal((await stop(base, "late", { streamId: second })).status, 204);
  await sent;
  assert.equal((await stop(base, "late", { streamId: "no id" })).status, 400);
});

test("another node attaches and stops", async (t) => {
  const store = await redis(t);
  const [one, other] = await Promise.all([node(t, { pace: 20, redis: store }), node(t, { pace: 20, redis: store })]);
  const chat = new Chat("nodes", one);
  const sent = ask(chat, LONG);
  await until("some words have come", () => chat.answer.length > 20);
  const follower = new Chat("nodes", other);
  const followed = follow(follower);
  await until("the other one follows", () => follower.answer.length > 40);
  assert.ok(chat.answer.startsWith(follower.answer) || follower.answer.startsWith(chat.answer));
  assert.equal(follower.streamId, chat.streamId);
  // 202: it has been asked, and its node has not answered within two seconds.
  await until("it is stopped", async () => [202, 204].includes((await stop(other, "nodes")).status));
  await Promise.all([sent, followed]);
  await until("nothing is left to attach to", async () => (await fetch(`${one}/api/chat/nodes/stream`)).status === 204);
  const said = await kept(one, "nodes");
  assert.ok(said.startsWith(follower.answer) && !said.endsWith("of the chat."));
});

test("a question that is none is answered with a reason", async (t) => {
  const base = await node(t);
  const cases = [
    [{ id: "", messages: [] }, 400, /id: a chat needs an id/],
    [{ id: "x".repeat(129), messages: [] }, 400, /129 bytes given, at most 128/],
    [{ id: "c", messages: [] }, 400, /has to be the user's/],
    [{ id: "c", messages: [{ id: "m", role: "user", parts: [{ type: "text", text: " " }] }] }, 400, /empty/],
    [{ id: "c" }, 422, /messages/],
  ];
  for (const [body, status, reason] of cases) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${base}/api/chat`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(response.status, status, JSON.stringify(body));
    assert.match(await response.text(), reason);
  }
  const chat = new Chat("blank", base);
  await chat.sendMessage({ text: "  " });
  assert.equal(chat.status, "error");
  assert.match(chat.error.message, /the question is empty/);
});

test("what keeps it from starting is said in one line", () => {
  const said = (stderr) => ({ status: 1, stdout: "", stderr: `Error: ${stderr}\n` });
  assert.deepEqual(refused({ PORT: "http" }), said("PORT: `http` given, a port number expected"));
  const secret = "SSE_RESUME_SECRET: secret too short: 5 bytes given, at least 32 needed; make one with `openssl rand -base64 32`";
  assert.deepEqual(refused({ SSE_RESUME_SECRET: "short" }), said(secret));
});
