"""The parser, against the WHATWG's grammar, however the bytes are split."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_resume._parser import Block, Comment, Parser, TooLargeError

LIMIT = 1 << 20


def parse(*chunks: bytes, limit: int = LIMIT, last_id: str = "") -> list[Block | Comment]:
    parser = Parser(max_block_bytes=limit, last_id=last_id)
    items: list[Block | Comment] = []
    for chunk in chunks:
        parser.feed(chunk)
        while (item := parser.pull()) is not None:
            items.append(item)
    return items


def message(data: str | None, event: str = "message", id_: str = "", *, has_id: bool = False) -> Block:
    return Block(event, data, id_, has_id)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        # The examples of the standard.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")]),
        (b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")]),
        (b"data:test\n\ndata: test\n\n", [message("test"), message("test")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            [
                Comment(" test stream"),
                message("first event", id_="1", has_id=True),
                message("second event", has_id=True),
            ],
        ),
        # Line ends.
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [message("a"), message("b"), message("c")]),
        (b"data: a\rdata: b\n\r\n", [message("a\nb")]),
        (b"\n\r\n\r\n\n", []),
        # Fields.
        (b"event: x\ndata: 1\n\ndata: 2\n\n", [message("1", "x"), message("2")]),
        (b"event:  x\ndata:1\n\n", [message("1", " x")]),
        (b"event: x\nevent\ndata: 1\n\n", [message("1")]),
        (b"Data: a\n data: b\ndata : c\ndata: d\n\n", [message("d")]),
        (b"data: a:b: c\n\n", [message("a:b: c")]),
        (b"event: only\n\n", [message(None, "only")]),
        (b"unknown\n\n", [message(None)]),
        (b"id: 1\n\ndata: a\n\n", [message(None, id_="1", has_id=True), message("a", id_="1")]),
        (b"id: 1\n\nid: a\0b\ndata: a\n\n", [message(None, id_="1", has_id=True), message("a", id_="1")]),
        (b"data: a\n:c\ndata: b\n\n", [Comment("c"), message("a\nb")]),
        (b":\n\n", [Comment("")]),
        # Bytes.
        (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", [message("b")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message("a"), message(None)]),
        ("data: é 🎈 \u2028\n\n".encode(), [message("é 🎈 \u2028")]),
        (b"data: \xff\xe2\x82\n\n", [message("\ufffd\ufffd")]),
        # What is not closed is dropped.
        (b"data: a\n\ndata: b\n", [message("a")]),
    ],
)
def test_grammar(stream: bytes, expected: list[Block | Comment]) -> None:
    assert parse(stream) == expected
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == expected


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (b"250", 250),
        (b"0", 0),
        (b"", None),
        (b"1.5", None),
        (b"-1", None),
        (b"9" * 5000, 86_400_000),
        ("٣".encode(), None),
    ],
)
def test_retry_is_digits_only_and_bounded(value: bytes, ms: int | None) -> None:
    parser = Parser(max_block_bytes=LIMIT)
    parser.feed(b"retry: " + value + b"\n\n")
    parser.pull()
    assert parser.retry_ms == ms


def reference(stream: bytes) -> list[Block | Comment]:
    """The grammar once more, written down plainly for a whole stream."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split(r"\r\n|\r|\n", text)[:-1]
    items: list[Block | Comment] = []
    data: list[str] = []
    event, last_id, has_id, fields = "", "", False, False
    for line in lines:
        if not line:
            if fields:
                items.append(Block(event or "message", "\n".join(data) if data else None, last_id, has_id))
            data, event, has_id, fields = [], "", False, False
            continue
        if line[0] == ":":
            items.append(Comment(line[1:]))
            continue
        fields = True
        name, colon, value = line.partition(":")
        if colon and value[:1] == " ":
            value = value[1:]
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id, has_id = value, True
    return items


PIECES = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"x"]
    + [b"\xef\xbb\xbf", "🎈".encode(), b"\xf0\x9f", b"\xff", b"data: a\r\n", b"id: 7\n"]
)


@given(st.lists(PIECES, max_size=60), st.lists(st.integers(0, 400), max_size=12))
def test_any_split_is_the_whole_and_the_grammar(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(bounds)]
    expected = reference(stream)
    assert parse(stream) == expected
    assert parse(*chunks) == expected


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_are_parsed(stream: bytes, size: int) -> None:
    assert parse(*(stream[at : at + size] for at in range(0, len(stream), size))) == reference(stream)


def test_nothing_is_parsed_ahead() -> None:
    parser = Parser(max_block_bytes=LIMIT)
    parser.feed(b"data: 1\n\nretry: 5\n\n")
    assert parser.pull() == message("1")
    assert parser.retry_ms is None


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_block_may_be_as_large_as_allowed_and_no_larger(size: int) -> None:
    fits = b"data: " + b"x" * 94 + b"\n\n"
    for stream in (fits * 50, b": " + b"x" * 90 + b"\n" + fits):
        assert parse(*(stream[at : at + size] for at in range(0, len(stream), size)), limit=100)
    for stream in (b"data: " + b"x" * 95 + b"\n\n", b"data: " + b"x" * 95, b"data: xxxx\n" * 11, b":" + b"x" * 100):
        with pytest.raises(TooLargeError):
            parse(*(stream[at : at + size] for at in range(0, len(stream), size)), limit=100)


def test_the_last_id_outlives_a_connection() -> None:
    assert parse(b"data: a\n\n", last_id="7") == [message("a", id_="7")]
