"""Characters with combining ones on them, each known to the engine as one character."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

MAX_CLUSTERS = 4096
MAX_MARKS = 7
"""On one character; more are dropped."""

# Private and unassigned code points that stand for a cluster, with the width that the engine gives
# them. What a guest prints of them itself becomes U+FFFD.
_NARROW = range(0x100000, 0x10FFFD)
_WIDE = range(0x3C000, 0x3FFFD)
BLANK = "\U0010fffd"
"""A blank that was printed, where it has to be told from one that was erased."""

AWKWARD = (
    "\xad\u0300-\u036f\u0483-\u0489\u0591-\u1fff\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u20d0-\u20ff\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u302f\u3099\u309a\ua66f-\ua69f"
    "\ua6f0\ua6f1\ua802-\uabff\ud7b0-\ud7ff\ufb1e\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\ufff0-\ufffb"
)
"""For a regular expression's brackets: where characters of no width are, and some others."""
FAR_AWKWARD = (
    "\U000101fd-\U0001e95f\U0001f3fb-\U0001f3ff\U0003c000-\U0003fffd\U000e0000-\U000effff"
    "\U00100000-\U0010ffff"
)
"""The same beyond the first 65,536 characters."""


class Clusters:
    """The clusters of one terminal."""

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}
        self._texts: dict[int, str] = {}
        self._narrow = iter(_NARROW)
        self._wide = iter(_WIDE)

    def text(self, text: str) -> str:
        """With what the stand-ins stand for."""
        return text if text.isascii() else text.translate(self._texts).replace(BLANK, " ")

    def blanks(self, text: str) -> str:
        """With blanks as blanks again."""
        return text if text.isascii() else text.replace(BLANK, " ")

    def stand_in(self, cluster: str, *, wide: bool) -> str:
        """The one character for it; the first of it if there are too many."""
        cluster = cluster[: 1 + MAX_MARKS]
        if len(cluster) == 1:
            return cluster
        if found := self._stand_ins.get(cluster):
            return found
        if len(self._stand_ins) >= MAX_CLUSTERS:
            return cluster[0]
        code = next(self._wide if wide else self._narrow)
        self._stand_ins[cluster] = chr(code)
        self._texts[code] = cluster
        return chr(code)


def split(text: str) -> list[str]:
    """Into characters, each with the marks on it; marks at the beginning are a part too."""
    parts: list[str] = []
    for character in text:
        shown, mark = _shown(character)
        if mark and parts:
            parts[-1] += shown
        elif shown:
            parts.append(shown)
    return parts


@lru_cache(maxsize=4096)
def is_mark(character: str) -> bool:
    """Whether it goes on the character before it."""
    return unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff"


@lru_cache(maxsize=4096)
def _shown(character: str) -> tuple[str, bool]:
    """The character, "" for one that is not shown, U+FFFD for one that is ours; and `is_mark`.

    Joiners and variation selectors would make other terminals draw wider than the cell is; what
    changes the direction of text is never let through.
    """
    if ord(character) >= _NARROW.start or ord(character) in _WIDE:
        return "\ufffd", False
    if unicodedata.category(character) in ("Cf", "Zl", "Zp") or "\ufe00" <= character <= "\ufe0f":
        return "", False
    return character, is_mark(character)
