from __future__ import annotations

import pytest

from tower_resume._backoff import MAX_RETRY_AFTER, Backoff, retry_after


def test_doubles_up_to_the_ceiling_with_full_jitter() -> None:
    random = iter([1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0])
    backoff = Backoff(base=1.0, ceiling=10.0, random=lambda: next(random))
    assert [backoff.delay() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 5.0, 0.0]


def test_an_event_begins_anew_and_retry_sets_the_base() -> None:
    backoff = Backoff(base=1.0, ceiling=30.0, random=lambda: 1.0)
    for _ in range(2000):
        backoff.delay()
    assert backoff.delay() == 30.0
    backoff.arrived()
    backoff.set_base(0.25)
    assert [backoff.delay(), backoff.delay()] == [0.25, 0.5]


def test_retry_after_is_the_least() -> None:
    backoff = Backoff(base=1.0, ceiling=30.0, random=lambda: 0.5)
    assert backoff.delay(7.0) == 7.0
    assert backoff.delay(0.1) == 1.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 12 ", 12.0),
        ("Thu, 01 Jan 1970 00:01:45 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("9" * 400, MAX_RETRY_AFTER),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=100.0) == seconds
