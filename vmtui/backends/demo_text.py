"""The definition of a VM of the demo fleet as the text that is edited: a table for each part."""

from __future__ import annotations

from vmtui import toml
from vmtui.backends.demo_definition import Definition, part_of
from vmtui.errors import InputError
from vmtui.hardware.changes import Assign, Change, Detach
from vmtui.hardware.settings import setting


def text_of(definition: Definition) -> str:
    """The definition as it is edited: a table for each part."""
    lines = ["# A VM of the demo fleet. Settings are those of `vmtui set`."]
    parts = dict.fromkeys([*map(part_of, definition.values), *definition.devices])
    for part in parts:
        lines += ["", f'["{part}"]']
        if part in definition.devices:
            lines.append(f"device = {_quoted(definition.devices[part].label)}")
        for key, value in definition.of(part).items():
            lines.append(f'"{key}" = {_quoted(setting(key).form.text(value))}')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def changes_of(definition: Definition, text: str) -> tuple[Change, ...]:
    """What makes the definition that `text` says. Raises InputError with the line."""
    try:
        tables = toml.tables(text)
    except toml.TomlError as error:
        raise InputError("this is not TOML", why=_at_line(str(error))) from error
    changes: list[Change] = [Detach(part) for part in definition.devices if part not in tables]
    for part, table in tables.items():
        if not isinstance(table, dict) or (
            part not in definition.devices and not definition.of(part)
        ):
            raise _bad(text, f'["{part}"]', f"{part} is not one of its parts")
        for key, written in table.items():
            if key == "device":
                continue
            if key not in definition.values or part_of(key) != part:
                raise _bad(text, f'"{key}"', f"{part} has no setting {key}")
            try:
                value = setting(key).form.parse(str(written))
            except ValueError as error:
                raise _bad(text, f'"{key}"', f"{key}: {error}") from error
            if value != definition.values[key]:
                changes.append(Assign(key, value))
    return tuple(changes)


def _bad(text: str, near: str, why: str) -> InputError:
    line = next((i for i, line in enumerate(text.splitlines(), 1) if near in line), 1)
    return InputError("this can't be a VM", why=f"line {line}: {why}")


def _at_line(message: str) -> str:
    """`… (at line 3, column 5)`, the line first."""
    head, found, tail = message.partition(" (at line ")
    return f"line {tail.split(',')[0]}: {head}" if found else message
