// How a stream can end, or begin anew: by the answer, its words, and the options, over a made-up server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { resumable, ResumableError } from "../resumable.js";
import {
  bytes,
  collect,
  end,
  event,
  html,
  open,
  problem,
  quick,
  replay,
  reset,
  seqs,
  server,
  streamed,
  URL_,
} from "./helpers.js";

test("204 is the end of it: of a start, and of a resume", async () => {
  const start = await collect(quick(server(new Response(null, { status: 204 })).fetch));
  assert.deepEqual(start, { seen: [], error: null });
  const { fetch, calls } = server(streamed([open(), event(1)]), new Response(null, { status: 204 }));
  const stream = quick(fetch);
  assert.deepEqual(seqs((await collect(stream)).seen), [1]);
  assert.equal(stream.state, "ended");
  assert.equal(calls.length, 2);
});

test("what passes by itself is waited for", async () => {
    for (const answer of [
    ...[408, 425, 429, 500, 502, 503, 504].map((status) => () => problem(status, "x")),
    html,
    () => reset(),
  ]) {
    const { fetch, calls } = server(
      streamed([open(), event(1)]),
      answer(),
      answer(),
      answer(),
      streamed([replay(1), end(1)]),
    );
    assert.deepEqual(seqs((await collect(quick(fetch))).seen), [1, "end"]);
    assert.equal(calls.length, 5);
  }
});

/** Each way for a stream to end in an error: what was answered, with which options. */
const lost = () => streamed([open(), event(1)]);
const ENDS = [
  [
    "unauthorized",
    [lost(), problem(401, "token_expired")],
    {},
    { status: 401, problem: "token_expired", needsNewStart: true },
  ],
  [
    "gone",
    [lost(), problem(426, "stream_expired")],
    {},
    { status: 426, problem: "stream_expired", needsNewStart: true },
  ],
  ["gone", [lost(), problem(410, "stream_expired")], {}, { status: 410, needsNewStart: true }],
  ["unauthorized", [lost(), reset()], { expired: true }, { status: null, needsNewStart: true }],
  ["refused", [lost(), problem(400, "bad_cursor")], {}, { status: 400, problem: "bad_cursor", needsNewStart: false }],
  ["refused", [lost(), problem(403, "not_allowed")], {}, { status: 403 }],
  ["refused", [lost(), problem(404)], {}, { status: 404, problem: null }, /resumeUrl/],
  ["refused", [lost(), problem(405)], {}, { status: 405 }, /resumeUrl/],
  ["refused", [lost(), problem(409, "in_progress")], {}, { status: 409 }],
  ["refused", [lost(), problem(422, "x y\nz".repeat(20))], {}, { status: 422, problem: null }],
  ["refused", [lost(), problem(501)], {}, { status: 501 }],
  ["refused", [problem(404)], {}, { status: 404 }, /URL/],
  ["refused", [problem(422, "key_reused")], { method: "POST" }, { status: 422, problem: "key_reused" }],
  ["refused", [problem(409, "other")], {}, { status: 409 }],
  ["unauthorized", [problem(401)], {}, { status: 401 }, /headers/],
  ["not_event_stream", [html()], {}, { status: 200 }, /text\/html/],
  ["not_event_stream", [lost(), html(), html(), html(), html()], {}, { status: 200 }, /text\/html/],
  ["not_event_stream", [new Response(bytes("x"))], {}, { status: 200 }, /no content type/],
  ["start_failed", [reset()], { method: "POST" }, { status: null }, /idempotencyKey/],
  ["not_resumable", [streamed(["data: a\n\n"])], { method: "POST" }, { status: null }],
  ["gave_up", [reset()], { retry: { base: 0, attempts: 3 } }, { status: null }, /3 attempts/],
  ["gave_up", [lost(), problem(503)], { retry: { base: 0, attempts: 3 } }, { status: 503 }, /503/],
  [
    "too_large",
    [streamed([open(), "data: aaaaa\n\n"])],
    { maxEventBytes: 300, big: true },
    { status: null },
    /maxEventBytes/,
  ],
];

for (const [index, [code, answers, { expired, big, ...options }, members, text]] of ENDS.entries()) {
  test(`error ${index + 1}: ${code} ${members.status ?? ""}`, async () => {
    if (expired) answers[0] = streamed([open({ expires_at: Date.now() - 1000 }), event(1)]);
    if (big) answers[0] = streamed([open(), `data: ${"x".repeat(400)}\n\n`]);
    const { fetch } = server(...answers);
    const states = [];
    const stream = quick(fetch, { ...options, onState: (state, detail) => states.push([state, detail]) });
    const { error } = await collect(stream);
    assert.ok(error instanceof ResumableError);
    assert.equal(error.code, code, error.message);
    for (const [name, value] of Object.entries(members)) assert.equal(error[name], value, name);
    if (text) assert.match(error.message, text);
    assert.equal(stream.state, "failed");
    assert.deepEqual(states.at(-1), ["failed", { error }]);
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
    // Neither it nor the stream tells a token, or what the URL's query says.
    for (const shown of [
      error.message,
      String(error),
      inspect(error),
      JSON.stringify(error),
      inspect(stream, { depth: 9 }),
      JSON.stringify(stream),
    ]) {
      assert.doesNotMatch(shown, /rgAAA|secret/);
    }
    assert.ok(code === "gave_up" || error.message.length > 20);
  });
}

test("an error comes after all events that came before it", async () => {
  const { fetch } = server(streamed([open(), event(1) + event(2) + event(3)]), problem(401));
  const { seen, error } = await collect(quick(fetch));
  assert.deepEqual(seqs(seen), [1, 2, 3]);
  assert.equal(error.code, "unauthorized");
});

test("with `restart`, what cannot be had any more begins anew, and says so first; with another key", async () => {
  for (const status of [401, 410, 426]) {
    const { fetch, calls } = server(lost(), problem(status, "x"), streamed([open(), event(1), event(2), end(2)]));
    const stream = quick(fetch, { method: "POST", body: "{}", restart: true, idempotencyKey: true });
    const { seen, error } = await collect(stream);
    assert.equal(error, null);
    assert.deepEqual(seqs(seen), [1, "restart", 1, 2, "end"]);
    assert.deepEqual(
      calls.map(({ method }) => method),
      ["POST", "GET", "POST"],
    );
    assert.equal(calls[2].headers["x-resume-token"], undefined);
    assert.notEqual(calls[2].headers["idempotency-key"], calls[0].headers["idempotency-key"]);
  }
});

test("a restart is no way round a start that is refused", async () => {
  const { fetch, calls } = server(lost(), problem(401), problem(401));
  const { error } = await collect(quick(fetch, { restart: true }));
  assert.equal(error.code, "unauthorized");
  assert.equal(calls.length, 3);
});

test("a URL that cannot be fetched is told at once, and not repeated", () => {
  for (const url of ["not a url secret", "/path?secret", "ftp://x/secret", "http://user:secret@host/", ""]) {
    assert.throws(
      () => resumable(url),
      (error) => error.code === "bad_url" && !/secret/.test(error.message),
      url,
    );
  }
  assert.throws(() => resumable(URL_, { resumeUrl: "javascript:secret" }), { code: "bad_url" });
  resumable(new URL(URL_));
});

test("so is what cannot be sent, in the platform's words", () => {
  assert.throws(() => resumable(URL_, { body: "GET has none" }), TypeError);
  assert.throws(() => resumable(URL_, { headers: { "a b": "c" } }), TypeError);
  assert.throws(() => resumable(URL_, { method: "a b", body: "x" }), TypeError);
});
