// The grammar of "Interpreting an event stream" (HTML standard, 9.2.6): what a stream of bytes means, however it is split.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, collect, quick, server, streamed } from "./helpers.js";

/** What a server without the layer sends, read to its end. */
async function parse(chunks, options) {
  const { fetch } = server(streamed(chunks), new Response(null, { status: 204 }));
  const { seen, error } = await collect(quick(fetch, options));
  return { events: seen.map(({ event, data, id }) => [event, data, id]), error };
}

const NUL = "\0";
/** Name, bytes, and the events that they are: name, data, last event id. */
const CASES = [
  ["an event is a data line and a blank one", "data: a\n\n", [["message", "a", ""]]],
  ["several data lines are joined by LF", "data: a\ndata: b\ndata\ndata: c\n\n", [["message", "a\nb\n\nc", ""]]],
  [
    "an event has a name for itself only",
    "event: x\ndata: 1\n\ndata: 2\n\n",
    [
      ["x", "1", ""],
      ["message", "2", ""],
    ],
  ],
  ["the last name counts", "event: x\nevent: y\ndata: 1\n\n", [["y", "1", ""]]],
  ["an empty name is none", "event: x\nevent\ndata: 1\n\n", [["message", "1", ""]]],
  [
    "an id stays until the next one",
    "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
    [
      ["message", "a", "1"],
      ["message", "b", "1"],
      ["message", "c", "2"],
    ],
  ],
  [
    "an empty id takes it back",
    "id: 1\ndata: a\n\nid\ndata: b\n\n",
    [
      ["message", "a", "1"],
      ["message", "b", ""],
    ],
  ],
  ["an id alone is no event, but counts", "id: 7\n\ndata: a\n\n", [["message", "a", "7"]]],
  [
    "an id with NUL is ignored",
    `id: 1\ndata: a\n\nid: 2${NUL}3\ndata: b\n\n`,
    [
      ["message", "a", "1"],
      ["message", "b", "1"],
    ],
  ],
  ["NUL elsewhere is a character", `data: a${NUL}b\n\n`, [["message", `a${NUL}b`, ""]]],
  ["no data, no event; and its name is gone", "event: x\n\ndata: 1\n\n", [["message", "1", ""]]],
  [
    "empty data is data",
    "data\n\ndata:\n\ndata: \n\n",
    [
      ["message", "", ""],
      ["message", "", ""],
      ["message", "", ""],
    ],
  ],
  ["two empty data lines are one LF", "data\ndata\n\n", [["message", "\n", ""]]],
  [
    "one space after the colon is left out, one only",
    "data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\n",
    [
      ["message", "a", ""],
      ["message", "a", ""],
      ["message", " a", ""],
      ["message", "\ta", ""],
    ],
  ],
  ["a space before the colon is part of the name", "data : a\n\ndata: b\n\n", [["message", "b", ""]]],
  ["names of fields are in small letters", "Data: a\nDATA: b\ndata: c\n\n", [["message", "c", ""]]],
  ["unknown fields are passed over", "foo: bar\nbaz\ndata: a\n: x\n\n", [["message", "a", ""]]],
  ["a colon in the value is the value's", "data: a: b:c\n\n", [["message", "a: b:c", ""]]],
  ["comments are passed over", ": x\n:y\n:\n\n:\ndata: a\n:z\n\n", [["message", "a", ""]]],
  ["blank lines are nothing", "\n\n\r\r\r\n\r\ndata: a\n\n\n\n", [["message", "a", ""]]],
  ["CR ends a line", "data: a\rdata: b\r\r", [["message", "a\nb", ""]]],
  ["CRLF ends one line", "data: a\r\ndata: b\r\n\r\n", [["message", "a\nb", ""]]],
  [
    "all line ends, mixed",
    "data: a\rdata: b\r\ndata: c\n\r\ndata: d\n\r",
    [
      ["message", "a\nb\nc", ""],
      ["message", "d", ""],
    ],
  ],
  [
    "LF CR is two",
    "data: a\n\rdata: b\n\n",
    [
      ["message", "a", ""],
      ["message", "b", ""],
    ],
  ],
  ["one BOM at the start is removed", "\ufeffdata: a\n\n", [["message", "a", ""]]],
  [
    "only one, and only there",
    "\ufeff\ufeffdata: a\n\ndata: \ufeffb\n\n\ufeffdata: c\n\n",
    [["message", "\ufeffb", ""]],
  ],
  ["a BOM may stand alone on its line", "\ufeff\ndata: a\n\n", [["message", "a", ""]]],
  ["a block that is not finished is dropped", "data: a\n\ndata: b\n", [["message", "a", ""]]],
  ["and so is a line", "data: a\n\ndata: b", [["message", "a", ""]]],
  ["UTF-8 of all lengths", "data: é€🦀\u2028\u0085\n\n", [["message", "é€🦀\u2028\u0085", ""]]],
  ["a name and an id in UTF-8", "event: ü\nid: 日本\ndata: a\n\n", [["ü", "a", "日本"]]],
  ["a retry is no event", "retry: 10\n\ndata: a\n\n", [["message", "a", ""]]],
];

for (const [name, text, expected] of CASES) {
  test(`${name}, in one piece, byte by byte, and cut in two anywhere`, async () => {
    const whole = bytes(text);
    assert.deepEqual((await parse([whole])).events, expected);
    assert.deepEqual((await parse(Array.from(whole, (byte) => Uint8Array.of(byte)))).events, expected);
    for (let at = 1; at < whole.length; at += 1) {
      assert.deepEqual((await parse([whole.slice(0, at), whole.slice(at)])).events, expected, `cut at ${at}`);
    }
  });
}

test("bytes that are not UTF-8 become U+FFFD, as the platform's own decoder does it, wherever they are cut", async () => {
  const bad = [
    [0xff],
    [0xc3],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0xa6],
    [0xed, 0xa0, 0x80],
    [0xc0, 0xaf],
    [0x80],
    [0xf4, 0x90, 0x80, 0x80],
  ];
  for (const some of bad) {
    const whole = Uint8Array.of(...bytes("data: a"), ...some, ...bytes("b"), ...some, ...bytes("\ndata: c\n\n"));
    const expected = `a${new TextDecoder().decode(Uint8Array.of(...some, 0x62))}${new TextDecoder().decode(Uint8Array.of(...some))}\nc`;
    for (let at = 1; at < whole.length; at += 1) {
      const { events } = await parse([whole.slice(0, at), whole.slice(at)]);
      assert.deepEqual(events, [["message", expected, ""]], `${some} cut at ${at}`);
    }
  }
});

/** A small generator of numbers that a seed repeats (mulberry32). */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test("made-up streams of 200 pieces mean the same however they are split", async () => {
  const pieces = [
    "data",
    "data: ",
    "data:x",
    "event: e",
    "id: 1",
    `id: a${NUL}`,
    "retry: 5",
    ":",
    ": c",
    "é",
    "🦀",
    "\ufeff",
    " ",
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\r\r",
    "\r\n\r\n",
    "\n",
    "\n",
  ];
  for (let seed = 1; seed <= 60; seed += 1) {
    const next = random(seed);
    const whole = bytes(Array.from({ length: 200 }, () => pieces[next(pieces.length)]).join(""));
    const { events } = await parse([whole]);
    for (let round = 0; round < 5; round += 1) {
      const chunks = [];
      for (let at = 0; at < whole.length;) {
        const length = next(4) === 0 ? 0 : 1 + next(1 + next(40));
        chunks.push(whole.slice(at, at + length));
        at += length;
      }
      assert.deepEqual((await parse(chunks)).events, events, `seed ${seed}, round ${round}`);
    }
  }
});

test("a large event of many lines arrives whole, in large pieces and in small ones", async () => {
  const line = "0123456789é".repeat(1000);
  const text = `${`data: ${line}\r\n`.repeat(300)}\r\n`;
  const data = Array(300).fill(line).join("\n");
  for (const size of [701, 65_536]) {
    const whole = bytes(text);
    const chunks = [];
    for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
    const { events } = await parse(chunks);
    assert.equal(events.length, 1);
    assert.ok(events[0][1] === data, "the data is the same");
  }
});

test("an event may be as large as maxEventBytes, and no larger; comments are not counted", async () => {
  const options = { maxEventBytes: 100 };
  const line = `data: ${"x".repeat(94)}`;
  assert.equal(line.length, 100);
  for (const [text, code] of [
    [`${line}\n\n`, undefined],
    [`${line}x\n\n`, "too_large"],
    [`${line}x`, "too_large"],
    [`data: a\n${line}\n\n`, "too_large"],
    [`${"data\n".repeat(20)}\n`, undefined],
    [`${"data\n".repeat(22)}\n`, "too_large"],
    [`${`: ${"c".repeat(90)}\n`.repeat(50)}${line}\n\n`, undefined],
    [`${line}\n\n`.repeat(5), undefined],
  ]) {
    for (const chunks of [[text], text.match(/[^]{1,7}/g)]) {
      assert.equal((await parse(chunks, options)).error?.code, code, text.slice(0, 20));
    }
  }
});

test("a stream that never ends a line is given up at maxEventBytes", async () => {
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += 1000;
      controller.enqueue(new Uint8Array(1000).fill(0x61));
    },
  });
  const { fetch } = server(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  const { error } = await collect(quick(fetch, { maxEventBytes: 1_000_000 }));
  assert.equal(error.code, "too_large");
  assert.ok(sent < 1_100_000, `${sent} bytes were read`);
});
