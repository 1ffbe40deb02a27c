"""Waiting for words in what a guest prints."""

from __future__ import annotations

import re

TAIL_BYTES = 4096

_NOISE = re.compile(
    rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\^-~]|[\r\x00]"
)


class Until:
    """Looks for `pattern` in a stream that comes in pieces, as people see it: without colours."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._tail = b""

    def seen_in(self, data: bytes) -> bool:
        """Whether it is in the stream, now that `data` has been added."""
        text = self._tail + data
        self._tail = text[-TAIL_BYTES:]
        return self._pattern.search(_NOISE.sub(b"", text)) is not None
