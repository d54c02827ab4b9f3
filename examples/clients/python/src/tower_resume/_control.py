"""Control events: JSON objects with a `phase`, as events or as comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ._parser import Block, Comment


def control_of(item: Block | Comment, name: str) -> Mapping[str, Any] | None:
    """The members of a control event; `None` where it is an ordinary event or comment."""
    if isinstance(item, Comment):
        first, _, text = item.text.removeprefix(" ").partition(" ")
        if first != name:
            return None
    elif item.event == name and item.data is not None:
        text = item.data
    else:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and isinstance(fields.get("phase"), str) else None
