"""Valid examples made wrong, as a careless or a hostile hand would: their values, text and bytes.

What reads them may give a value, or an error of vmtui/errors.py; all else fails a test by itself.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import settings
from hypothesis import strategies as st

from tests.fault.hard import EXAMPLES
from vmtui.errors import VmtuiError

quick = settings(max_examples=EXAMPLES, deadline=None)
"""Few seconds for each reader."""

DEEP = 2000
"""More than any reader can go down into by calling itself."""
DIGITS = 5000
"""More than Python makes a number of."""

_texts = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\x1b[2J\x1b]0;gone\x07",
        "\u202egnp.exe",
        "é漢字\U0001f469",
        "../../../../../../tmp/outside",
        "/etc/passwd",
        "~no-such-user/x",
        "~no\x00body",
        "json:{}",
        "a,b=c",
        "%s{0}$(reboot)",
        "1e999",
        "nan",
        "-1",
        "0x10",
        "٣",
        "²",
        "9" * DIGITS,
        "x" * 10_000,
        "999999999999P",
        "yes",
    ]
) | st.text(max_size=12)
_numbers = st.sampled_from(
    [0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, math.nan, math.inf, -math.inf, 1e308, -0.0]
)
odd = st.one_of(
    _texts,
    _numbers,
    st.booleans(),
    st.builds(list),
    st.builds(dict),
    st.just([[[[[]]]]]),
    st.just({"": {"": [{}]}}),
    st.just([1, "a", {}]),
    st.just(date(1, 1, 1)),
).map(copy.deepcopy)
"""Values that nobody expects there."""

_Place = tuple[Any, Any]


def _places(tree: Any) -> Iterator[_Place]:
    keys: Sequence[Any] = ()
    if isinstance(tree, dict):
        keys = list(tree)
    elif isinstance(tree, list):
        keys = range(len(tree))
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


@st.composite
def trees(draw: st.DrawFn, example: Any, values: st.SearchStrategy[Any] = odd) -> Any:
    """`example`, made of lists and dicts, with values dropped, doubled, moved and retyped."""
    tree = copy.deepcopy(example)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            break
        within, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "drop", "double", "move", "wrap"])):
            case "replace":
                within[key] = draw(values)
            case "drop":
                del within[key]
            case "double" if isinstance(within, list):
                within.append(copy.deepcopy(within[key]))
            case "double":
                within[draw(_texts)] = copy.deepcopy(within[key])
            case "move":
                source, at = draw(st.sampled_from(places))
                within[key] = copy.deepcopy(source[at]) if _has(source, at) else draw(values)
            case "wrap":
                within[key] = [within[key]]
    return tree


def _has(within: Any, key: Any) -> bool:
    return key in within if isinstance(within, dict) else key < len(within)


@st.composite
def texts(draw: st.DrawFn, *examples: str) -> str:
    """One of `examples` with lines dropped, doubled, moved, cut off, and with odd things in it."""
    text = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        place = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["drop", "double", "move", "cut", "put", "put", "over"])):
            case "drop":
                text = "\n".join(lines[:at] + lines[at + 1 :])
            case "double":
                text = "\n".join(lines[: at + 1] + lines[at:])
            case "move":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
                text = "\n".join(lines)
            case "cut":
                text = text[:place]
            case "put":
                text = text[:place] + draw(_texts) + text[place:]
            case "over":
                text = text[:place] + draw(_texts) + text[place + draw(st.integers(1, 9)) :]
    return text


@st.composite
def encoded(draw: st.DrawFn, text: st.SearchStrategy[str]) -> bytes:
    """A text as bytes: mostly UTF-8, at times in another encoding, or with bytes that are none."""
    made = draw(text)
    match draw(st.sampled_from(["utf-8"] * 4 + ["utf-8-sig", "utf-16", "latin-1", "spliced"])):
        case "spliced":
            content = made.encode("utf-8", "replace")
            place = draw(st.integers(0, len(content)))
            return content[:place] + draw(st.binary(max_size=8)) + content[place:]
        case encoding:
            return made.encode(encoding, "replace")


def json_lines(example: Any) -> st.SearchStrategy[bytes]:
    """A tree as JSON of one line."""
    return trees(example).map(lambda tree: json.dumps(tree, default=str).encode() + b"\n")


@st.composite
def markup(draw: st.DrawFn, *examples: str) -> str:
    """One of the XML `examples` with elements dropped, doubled, moved, renamed and refilled."""
    if draw(st.booleans()):
        return draw(texts(*examples))
    root = ET.fromstring(draw(st.sampled_from(examples)))
    words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
    odd_words = words | st.sampled_from(["-1", "9" * DIGITS, "1e999", "nan", "../../x", "²", "yes"])
    for _ in range(draw(st.integers(1, 4))):
        parents = [(parent, child) for parent in root.iter() for child in parent]
        if not parents:
            break
        parent, child = draw(st.sampled_from(parents))
        match draw(st.sampled_from(["drop", "double", "move", "text", "attribute", "bare"])):
            case "drop":
                parent.remove(child)
            case "double":
                parent.append(copy.deepcopy(child))
            case "move":
                other, _ = draw(st.sampled_from(parents))
                other.append(copy.deepcopy(child))
            case "text":
                child.text = draw(odd_words)
            case "attribute":
                name = draw(st.sampled_from(sorted(child.keys()) or ["unit"]))
                child.set(name, draw(odd_words))
            case "bare":
                child.attrib.clear()
    return ET.tostring(root, encoding="unicode")


def told(reading: Callable[[], object]) -> str:
    """What is said against it; "" where it is read. Anything but an error of ours gets through."""
    try:
        reading()
    except VmtuiError as error:
        assert error.what
        return str(error)
    return ""
