"""The pages of the reference: keys, commands, settings and figures, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reference.command_line import Argument, Command, commands, interface
from reference.configuration import Entry, entries
from vmtui.actions import ACTIONS, Scope
from vmtui.column_sets import DEFAULTS, OTHERS
from vmtui.figures import FIGURES
from vmtui.hardware.settings import SETTINGS
from vmtui.host_figures import HOST_FIGURES
from vmtui.screens.console_keys import COMMANDS, OTHER_KEYS, WITHOUT_PREFIX
from vmtui.screens.keys import NAVIGATION, display
from vmtui.widgets.all_columns import COLUMNS

_MADE = "<!-- Made by `make reference`; what is changed here is lost. -->"
_SCOPES = {
    Scope.VM: "On the VM under the cursor, or on all marked ones",
    Scope.VIEW: "In the interface",
    Scope.REPLAY: "In a recording that is replayed",
}


def keys() -> str:
    """docs/keys.md"""
    parts = [
        "# Keys",
        _MADE,
        "`?` shows these in vmtui. Every action is also in the palette (Ctrl+P), by its name. "
        "Another key for one is set by its id, in `[keys]` of the [configuration]"
        "(configuration.md); those for moving around stay.",
    ]
    for scope, title in _SCOPES.items():
        rows = [(_keys(a.key), f"`{a.id}`", a.help) for a in ACTIONS if a.scope is scope]
        parts += [f"## {title}", _table(("key", "id", "what it does"), rows)]
    around = [(_code(pressed), what) for pressed, what in NAVIGATION]
    parts += ["## Moving around", _table(("key", "what it does"), around)]
    parts += [
        "## In a console",
        "After the prefix, `Ctrl+\\` unless `console_prefix` says otherwise:",
        _table(
            ("key", "what it does"),
            [(_keys(c.key), c.help) for c in COMMANDS]
            + [(_code(pressed), what) for pressed, _, what in OTHER_KEYS],
        ),
        "Without it; every other key goes to the guest:",
        _table(
            ("key", "what it does"), [(_code(pressed), what) for pressed, _, what in WITHOUT_PREFIX]
        ),
    ]
    return _page(parts)


def command_line() -> str:
    """docs/commands.md"""
    parts = [
        "# Commands",
        _MADE,
        "`vmtui COMMAND --help` says the same. `…` is one or more; what is in brackets may be left "
        "out. A VM is named `NAME`, or `CONNECTION/NAME` where two share a name.",
        "## vmtui",
        interface().about,
        "    vmtui [OPTIONS] [COMMAND]",
        _options(interface().arguments),
        "The first three stand before or behind a command.",
        "Exit status: 0 done, 1 failed (the reason on standard error), 2 usage, 3 no such VM, 4 "
        "refused (read-only, protected, not confirmed), 130 interrupted.",
    ]
    for command in commands():
        parts += [f"## vmtui {command.name}", command.about, f"    {written(command)}"]
        if command.arguments:
            told = [a for a in command.arguments if a.names or a.help]
            parts += [_options(told)] if told else []
    return _page(parts)


def written(command: Command) -> str:
    """A command as it is typed, options apart."""
    options = any(argument.names for argument in command.arguments)
    return " ".join(
        part for part in ("vmtui", command.name, command.usage, "[OPTIONS]" * options) if part
    )


def settings() -> str:
    """docs/settings.md"""
    parts = [
        "# Settings",
        _MADE,
        "## Of VMs",
        "`vmtui set NAME KEY=VALUE` changes them, `vmtui show NAME --hardware` prints those of a "
        "VM with their values now and at its next boot: [Changing a VM](configuring.md). `*` "
        "stands for one of several parts, such as `vda` in `disk.vda.cache`. `default` leaves the "
        "choice to the hypervisor.",
    ]
    for kind in dict.fromkeys(setting.part for setting in SETTINGS):
        rows = [(f"`{s.key}`", s.form.told, s.help) for s in SETTINGS if s.part is kind]
        title = kind.value[:1].upper() + kind.value[1:]
        parts += [f"### {title}", _table(("key", "what it can be", "what it is for"), rows)]
    parts += [
        "## Of vmtui",
        "In `config.toml`; `vmtui config path` says where that is. What it is for, with examples: "
        "[Configuration](configuration.md).",
        _table(("key", "what it can be", "unless set", "what it is for"), map(_row, entries())),
    ]
    return _page(parts)


def figures() -> str:
    """docs/figures.md"""
    of_vms = [
        (_code(f.id), f.title, f.unit.value, f.meaning, *map(_code, (s.direct, s.libvirt)))
        for f in FIGURES
        for s in [f.source]
    ]
    others = [(_code(column), COLUMNS[column].title, what) for column, what in OTHERS.items()]
    of_hosts = [
        (_code(f.id), f.title, f.unit.value, f.meaning, *map(_code, (s.local, s.libvirt)))
        for f in HOST_FIGURES
        for s in [f.source]
    ]
    parts = [
        "# Figures and columns",
        _MADE,
        "`i` explains them in vmtui, for the VM under the cursor, with the reason where there is "
        "no value. `vmtui top --json` has them by their ids, as plain numbers of these units.",
        "## Of VMs",
        "Each is a column, and can have an [alarm](configuration.md#alarms).",
        _table(("id", "title", "unit", "what it is", "from QEMU", "from libvirt"), of_vms),
        "## Columns that are more or less than one figure",
        _table(("id", "title", "what it is"), others),
        "## Sets of columns",
        "Keys `1` to `5`, unless [configured](configuration.md#columns) otherwise:",
        _table(
            ("set", "columns"),
            [(f"`{name}`", " ".join(map(_code, chosen))) for name, chosen in DEFAULTS.items()],
        ),
        "## Of hosts",
        _table(("id", "title", "unit", "what it is", "here", "from afar"), of_hosts),
    ]
    return _page(parts)


def _row(entry: Entry) -> Sequence[str]:
    return f"`{entry.key}`", entry.form, _code(entry.default), entry.about


def _options(arguments: Iterable[Argument]) -> str:
    return _table(("argument", "what it is for"), [(_code(spelt(a)), a.help) for a in arguments])


def spelt(argument: Argument) -> str:
    """An argument as it is typed: `-c URI, --connect URI`."""
    if not argument.names:
        return argument.value
    return ", ".join(f"{name} {argument.value}".strip() for name in argument.names)


def _keys(pressed: str) -> str:
    return " ".join(_code(display(key)) for key in pressed.split(","))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    # A bar would end the cell, in code as well.
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
