"""The command line as the parser has it, told in a form that pages are made of."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from vmtui.parser import build_parser


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: how it is written, what may be chosen, what it is for."""

    names: tuple[str, ...]  # empty: it is known by its place
    value: str  # the word that stands for it; empty: a switch
    help: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or the verb of one: `images pull`."""

    name: str
    about: str
    usage: str
    arguments: tuple[Argument, ...]


def interface() -> Command:
    """vmtui without a command."""
    parser = build_parser()
    return Command("", parser.description or "", "[COMMAND]", tuple(_arguments(parser, set())))


def commands() -> tuple[Command, ...]:
    """All commands, verbs apart, in the parser's order."""
    parser = build_parser()
    everywhere = {argument.names for argument in _arguments(parser, set())} - {("--record",)}
    return tuple(_commands(parser, "", everywhere))


def _commands(
    parser: argparse.ArgumentParser, above: str, everywhere: set[tuple[str, ...]]
) -> Iterator[Command]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for word, command in action.choices.items():
            name = f"{above} {word}".strip()
            if any(isinstance(a, argparse._SubParsersAction) for a in command._actions):
                yield from _commands(command, name, everywhere)
            else:
                arguments = tuple(_arguments(command, everywhere))
                yield Command(name, command.description or "", _usage(command), arguments)


def _arguments(
    parser: argparse.ArgumentParser, left_out: set[tuple[str, ...]]
) -> Iterator[Argument]:
    for action in parser._actions:
        names = tuple(action.option_strings)
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if names and names in left_out:
            continue
        yield Argument(names, "" if action.nargs == 0 else _value(action), _help(action, parser))


def _value(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _usage(parser: argparse.ArgumentParser) -> str:
    """What stands behind the command's name. Not argparse's own: that differs between Pythons."""
    needed = [_option(a) for a in parser._actions if a.option_strings and a.required]
    placed = [_placed(action) for action in parser._actions if not action.option_strings]
    return " ".join([*placed, *needed])


def _option(action: argparse.Action) -> str:
    return f"{action.option_strings[0]} {_value(action)}"


def _placed(action: argparse.Action) -> str:
    value = _value(action)
    match action.nargs:
        case "?":
            return f"[{value}]"
        case "*" | argparse.REMAINDER:
            return f"[{value}…]"
        case "+":
            return f"{value}…"
    return value
