"""A file of which a part is here: what is known of it, and whether an answer brings the rest."""

from __future__ import annotations

import re

import httpx
import msgspec

from vmtui.units import whole_number

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Part(msgspec.Struct):
    """What is known of a file of which a part is here."""

    url: str
    validator: str = ""  # a strong ETag or a date, for asking for the rest of the same file
    total_bytes: int | None = None
    came_from: str = ""  # where `url` led: the next time it may lead to one with another validator


def continues(response: httpx.Response, state: Part, offset: int) -> bool:
    """Whether this is the rest of the file of which we have the beginning."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None or int(found[1]) != offset:
        return False
    if state.total_bytes is not None and int(found[3]) != state.total_bytes:
        return False
    return "ETag" not in response.headers or validator(response) == state.validator


def validator(response: httpx.Response) -> str:
    """What stays the same as long as the file does; "" if nothing is said of it."""
    etag: str = response.headers.get("ETag", "")
    # A weak one does not promise equal bytes.
    return etag if etag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def length(response: httpx.Response) -> int | None:
    """How much it is to bring, in bytes."""
    return whole_number(response.headers.get("Content-Length"))
