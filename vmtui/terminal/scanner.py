"""Splits what a guest prints into plain text and the sequences that need our attention."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from vmtui.terminal.clusters import AWKWARD, FAR_AWKWARD

MAX_STRING = 1 << 18
"""Characters of an OSC or DCS string that are kept; a longer one is dropped whole."""

# The colours and cursor movements that make up nearly all of what is printed: the engine takes them
# as they are. No underline, inverse or strike, which need attention.
_BYTE = r"(?:2[0-4]\d|25[0-5]|1?\d?\d)"
_COLOUR = rf"(?:[0-3]|[34][0-79]|2[2-9]|9[0-7]|10[0-7]|[34]8;(?:5;{_BYTE}|2(?:;{_BYTE}){{3}}))"
_ORDINARY = (
    r"(?:\[0m|\[3[0-79]m|\[m|\[[01];3[0-79]m|\[0;1;3[0-79]m"  # the commonest first: it's quicker
    rf"|\[(?:[\d;]{{0,16}}+[@-IKPXZadefg]|(?:{_COLOUR}?;){{0,8}}+{_COLOUR}?m)|[DEH])"
)
_SPECIAL = re.compile(rf"\x1b(?!{_ORDINARY})")
_UNSEEN = re.compile("[\x7f-\x9f]+")  # terminals that speak UTF-8 ignore the eight-bit controls
_UNSEEN_OR_AWKWARD = re.compile(f"[\x7f-\x9f{AWKWARD}]")
_FAR = re.compile("[^\x00-\uffff]")  # one range that a search passes over quickly
_AWKWARD = re.compile(f"[{AWKWARD}]+")
_ANY_AWKWARD = re.compile(f"[{AWKWARD}{FAR_AWKWARD}]+")
_ORDINARY_SEQUENCE = re.compile(rf"\x1b{_ORDINARY}")

_INNER = r"\x00-\x17\x19\x1c-\x1f"  # controls that work inside of a sequence
_CSI = re.compile(rf"\x1b\[([{_INNER} -?]{{0,256}})([@-~])")
_CONTROLS = re.compile(f"[{_INNER}]")
_CSI_BODY = re.compile(r"([<-?]?)([0-;]*)([ -/]*)")
_ESCAPE = re.compile(r"\x1b([ -/]{0,4})([0-OQ-WYZ\\`-jl-~])")
_STRING = re.compile(r"\x1b([]PX^_k])")
# The Linux console's own, which have no end: set the palette, reset it.
_LINUX_PALETTE = re.compile(r"\x1b\](?:P[0-9A-Fa-f]{7}|R)")
_BEGINNING = re.compile(
    rf"\x1b(?:\[[{_INNER} -?]{{0,256}}|[ -/]{{0,4}}|\](?:P[0-9A-Fa-f]{{0,6}})?)?\Z"
)
_BROKEN = re.compile(rf"\x1b+(?=\x1b)|\x1b(?:\[[{_INNER} -?]{{0,256}}|[ -/]{{0,4}})[\x18\x1a]?")
_ENDS = {"]": re.compile("[\x07\x18\x1a\x1b]")}
_END = re.compile("[\x18\x1a\x1b]")


class Csi(NamedTuple):
    """A control sequence."""

    name: str
    """What it does: private marker, intermediates and final character."""
    parameters: str


class Escape(NamedTuple):
    """An escape sequence: intermediates and final character."""

    name: str


class ControlString(NamedTuple):
    """An OSC, DCS, APC, PM or SOS string, or screen's title."""

    kind: str
    """What follows ESC at its beginning."""
    text: str
    end: str


class Awkward(NamedTuple):
    """Characters among which some have no width of their own."""

    text: str


Token = str | Csi | Escape | ControlString | Awkward


class Scanner:
    """What is incomplete at the end of a read waits for the next; whatever the reads, the tokens
    make the same text."""

    def __init__(self) -> None:
        self._held = ""
        self._kind = ""  # of the string that is not at its end
        self._string: list[str] = []
        self._string_length = 0

    def tokens(self, text: str) -> Iterator[Token]:
        """All that `text` completes."""
        text, awkward = _seen(text)
        text = self._held + text
        self._held = ""
        position = 0
        # Each is looked for again only when it is passed; None is for good.
        sequence = _SPECIAL.search(text)
        run = awkward.search(text) if awkward else None
        while position < len(text):
            if self._kind:
                position, string = self._rest_of_string(text, position)
                if string:
                    yield string
                continue
            if sequence and sequence.start() < position:
                sequence = _SPECIAL.search(text, position)
            if awkward and run and run.start() < position:
                run = awkward.search(text, position)
            start = sequence.start() if sequence else len(text)
            if run and run.start() < start:
                before = _last_printed(text, position, run.start())
                if before > position:
                    yield text[position:before]
                yield Awkward(text[before : run.end()])
                position = run.end()
                continue
            if start > position:
                yield text[position:start]
            position = start
            if sequence:
                position, tokens = self._sequence(text, start)
                yield from tokens

    def _sequence(self, text: str, start: int) -> tuple[int, Sequence[Token]]:
        """What begins with the ESC at `start`, and where it ends."""
        kind = text[start + 1 : start + 2]
        if kind == "[":
            if found := _CSI.match(text, start):
                return found.end(), _csi(found[1], found[2])
        elif found := _ESCAPE.match(text, start):
            return found.end(), [Escape(found[1] + found[2])]
        elif found := _LINUX_PALETTE.match(text, start):
            return found.end(), []
        if found := _BEGINNING.match(text, start):
            self._held = found[0]
            return len(text), []
        if found := _STRING.match(text, start):
            self._kind = found[1]
            return found.end(), []
        found = _BROKEN.match(text, start)
        assert found is not None
        return found.end(), []

    def _rest_of_string(self, text: str, start: int) -> tuple[int, ControlString | None]:
        found = _ENDS.get(self._kind, _END).search(text, start)
        end = found.start() if found else len(text)
        if self._string_length <= MAX_STRING:
            self._string.append(text[start:end])
        self._string_length += end - start
        if found is None:
            return end, None
        if found[0] == "\x1b" and end + 1 == len(text):
            self._held = "\x1b"
            return len(text), None
        proper = found[0] == "\x07" or text.startswith("\x1b\\", end)
        if proper and self._string_length <= MAX_STRING:
            string = ControlString(self._kind, "".join(self._string), found[0])
        else:
            string = None
        self._kind = ""
        self._string, self._string_length = [], 0
        if found[0] == "\x1b":  # if it does not end the string, it begins a sequence
            return end + (2 if proper else 0), string
        return end + 1, string


def _seen(text: str) -> tuple[str, re.Pattern[str] | None]:
    """Without what terminals ignore; and what finds awkward characters in it, if there are any."""
    if text.isascii():
        return (text.replace("\x7f", "") if "\x7f" in text else text), None
    far = _FAR.search(text) is not None
    if not far and not _UNSEEN_OR_AWKWARD.search(text):
        return text, None
    return _UNSEEN.sub("", text), _ANY_AWKWARD if far else _AWKWARD


@lru_cache(maxsize=4096)
def _csi(body: str, final: str) -> Sequence[Token]:
    parts = _CSI_BODY.fullmatch(body)
    inner: list[Token] = []
    if parts is None and (controls := _CONTROLS.findall(body)):
        inner = ["".join(controls)]  # they work as if they stood before
        parts = _CSI_BODY.fullmatch(_CONTROLS.sub("", body))
    if parts is None:
        return inner
    return (*inner, Csi(parts[1] + parts[3] + final, parts[2]))


def _last_printed(text: str, position: int, start: int) -> int:
    """Where the character begins that a mark at `start` goes on; `start` if there is none."""
    if start == position or text[start - 1] < " ":
        return start
    escape = text.rfind("\x1b", max(position, start - 256), start)
    if escape >= 0:
        sequence = _ORDINARY_SEQUENCE.match(text, escape)
        if sequence and sequence.end() == start:
            return start
    return start - 1
