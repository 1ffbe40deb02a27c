"""`vm.toml` as a person left it: changed where it has to be, all else as it was written."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
import tomlkit
from tomlkit.container import Container
from tomlkit.items import AbstractTable, AoT, Item

from vmtui import toml
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.identity import CARD_KEYS, DRIVE_KEYS, Key, pairs
from vmtui.errors import OperationError

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_PATH = re.compile(r"`\$((?:\.\w+|\[\d+\])*)`")
_NAMED = re.compile(r"^(\w+)(?:: (\w+) =)?")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_HEADER = re.compile(r"\s*\[\[?\s*([\w.]+)\s*\]\]?")
_KEY = re.compile(r"\s*([\w-]+)\s*[=.]")
_UNKNOWN = re.compile(r"unknown field `(\w+)`")

# How the tables of a list are told apart, by their key.
_MARKS: dict[str, tuple[Key[Any], ...]] = {
    "disk": DRIVE_KEYS,
    "nic": CARD_KEYS,
    "share": (lambda share: share.tag,),
    "host_device": (lambda device: (device.bus, device.address),),
}


def edited(text: str, before: Definition, after: Definition) -> str:
    """`text`, which says `before`, with what it takes to say `after`. Raises OperationError."""
    document = tomlkit.parse(text)
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) == new.get(key):
            continue
        if key in _MARKS:
            _edit_tables(document, key, getattr(before, key), getattr(after, key))
        elif isinstance(old.get(key, new.get(key)), dict):
            _edit_table(document, key, getattr(before, key), getattr(after, key))
        else:
            _set(document, key, getattr(after, key), default=key not in new)
    made = tomlkit.dumps(document)
    if _says(made) != after:
        raise OperationError(
            "vm.toml can't be changed in place",
            why="it is written in a way that leaves no room for the change",
            hint="Edit it by hand: vmtui edit NAME",
        )
    return made


def _says(text: str) -> Definition | None:
    try:
        return convert(toml.tables(text))
    except ValueError:
        return None


def _edit_tables(
    document: tomlkit.TOMLDocument, key: str, before: Sequence[Any], after: Sequence[Any]
) -> None:
    """Each table of a list on its own: those that stay keep their comments."""
    tables: Any = document.get(key)
    known = pairs(before, after, *_MARKS[key])
    for at, then in known:
        if at is not None and then is not None:
            _edit_fields(tables[at], before[at], after[then])
    for at in sorted((at for at, then in known if at is not None and then is None), reverse=True):
        del tables[at]
    fresh = [
        msgspec.to_builtins(after[then]) for _, then in known[len(before) :] if then is not None
    ]
    if tables is None and fresh:
        document[key] = tomlkit.aot()
        tables = document[key]
    for content in fresh:
        tables.append(_table(content) if isinstance(tables, AoT) else _inline(content))
    if tables is not None and not len(tables):
        del document[key]


def _edit_table(
    document: tomlkit.TOMLDocument, key: str, before: msgspec.Struct, after: msgspec.Struct | None
) -> None:
    if after is None:
        del document[key]
    elif key in document:
        _edit_fields(document[key], before, after)
        if not document[key]:
            del document[key]
    else:
        document[key] = _table(msgspec.to_builtins(after))


def _edit_fields(table: Any, before: msgspec.Struct, after: msgspec.Struct) -> None:
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            _set(table, key, getattr(after, key), default=key not in new)


def _set(table: MutableMapping[str, Any], key: str, value: object, *, default: bool) -> None:
    """A default is not written, unless there is a comment beside what was."""
    content = msgspec.to_builtins(value)
    if content is None or (default and not _has_comment(table, key)):
        table.pop(key, None)
    elif key in table or not isinstance(content, Mapping):
        table[key] = content
    else:
        table[key] = _table(content)


def _has_comment(table: Mapping[str, Any], key: str) -> bool:
    container = table.value if isinstance(table, AbstractTable) else table
    if not isinstance(container, Container) or key not in container:
        return False
    item = container.item(key)
    return isinstance(item, Item) and bool(item.trivia.comment)


def _table(content: Mapping[str, Any]) -> Any:
    table = tomlkit.table()
    for key, value in content.items():
        table[key] = value
    return table


def _inline(content: Mapping[str, Any]) -> Any:
    table = tomlkit.inline_table()
    table.update(content)
    return table


# -- what is wrong with it -------------------------------------------------------------------


def read(text: str) -> Definition:
    """What `text` says. Raises ValueError; it begins with `line N: ` where that can be told."""
    try:
        return convert(toml.tables(text))
    except toml.TomlError as error:
        said = str(error)
        found = _AT_LINE.search(said)
        if found is None:
            raise ValueError(f"line {text.count(chr(10)) + 1}: {said}") from error
        raise ValueError(f"line {found[1]}: {said.replace(found[0], '')}") from error
    except ValueError as error:  # msgspec's are of this kind too
        line = _line_of(text, str(error))
        raise ValueError(f"line {line}: {error}" if line else str(error)) from error


def _line_of(text: str, problem: str) -> int | None:
    """Where the key is that a problem names."""
    steps: list[str | int] = []
    if path := _PATH.search(problem):
        steps = [name or int(at) for name, at in _STEP.findall(path[1])]
    elif named := _NAMED.match(problem):
        steps = [name for name in named.groups() if name]
    if unknown := _UNKNOWN.search(problem):
        steps.append(unknown[1])
    return _find(text.splitlines(), steps)


def _find(lines: Sequence[str], steps: Sequence[str | int]) -> int | None:
    """The line of `disk`, 1, `bus`: below its header if there is one, else by its own name."""
    if not steps or not isinstance(steps[0], str):
        return None
    wanted = steps[0]
    nth = next((step for step in steps[1:] if isinstance(step, int)), 0)
    leaf = next((step for step in reversed(steps[1:]) if isinstance(step, str)), "")
    table, seen, header_line = "", -1, None
    for number, line in enumerate(lines, 1):
        if header := _HEADER.match(line):
            table = header[1]
            seen += table == wanted
            if table == wanted and seen == nth:
                header_line = number
            continue
        key = _KEY.match(line)
        inside = header_line and table == wanted and seen == nth
        if key and key[1] == (leaf if inside else wanted) and (inside or not table):
            return number
    return header_line
