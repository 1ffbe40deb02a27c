"""What can be typed on the command line; also the source of completion."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from vmtui import __version__
from vmtui.arguments import balancing, configuring, creating, images, reaching
from vmtui.arguments.creating import Add, add_wait
from vmtui.errors import UsageError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in the words of the other errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"See: {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="vmtui",
        description="A terminal manager for virtual machines. Without a command: the interface.",
        parents=[_common(connections="connect")],
    )
    _add_record(parser)
    parser.add_argument("--replay", metavar="FILE", help="open a recording again")
    parser.add_argument("--version", action="version", version=f"vmtui {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", parser_class=_Parser, title="commands"
    )

    behind = _common(connections="connect_too")

    def add(
        name: str, about: str, *, json: bool = False, to: Any = commands
    ) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = to.add_parser(
            name, help=about, description=about, parents=[behind]
        )
        if json:
            command.add_argument("--json", action="store_true", help="print JSON")
        return command

    _add_list(add)
    _add_show(add)
    _add_watching(add)
    creating.add_arguments(add)
    images.add_arguments(add)
    _add_lifecycle(add)
    configuring.add_arguments(add)
    _add_console(add)
    _add_showing(add)
    reaching.add_arguments(add)
    balancing.add_arguments(add)
    _add_machine(add)
    return parser


def _common(*, connections: str) -> _Parser:
    """Options that may stand before or behind the command.

    SUPPRESS keeps the parser of a command from overwriting what stood before it; it would with a
    list, so that of `connections` has a name for each place.
    """
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "-c",
        "--connect",
        dest=connections,
        metavar="URI",
        action="append",
        help="a connection: kvm:, demo:, or any URI of libvirt; may be given several times",
    )
    common.add_argument("--read-only", action="store_true", help="refuse every change")
    common.add_argument("--demo", action="store_true", help="the demo fleet, in memory")
    return common


def _add_list(add: Add) -> None:
    form = add("list", "List all VMs.").add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--names", action="store_true", help="print only names, one a line")


def _add_show(add: Add) -> None:
    show = add("show", "Show all that is known of a VM.", json=True)
    show.add_argument("name", metavar="NAME")
    what = show.add_mutually_exclusive_group()
    what.add_argument(
        "--hardware", action="store_true", help="its settings and parts, now and at its next boot"
    )
    what.add_argument(
        "--diff", action="store_true", help="only what its next boot takes otherwise than it is"
    )


def _add_watching(add: Add) -> None:
    top = add("top", "Print what all VMs do, again and again.")
    form = top.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON: a line a sample")
    form.add_argument("--csv", action="store_true", help="print CSV: a line a VM and sample")
    top.add_argument("--count", type=int, metavar="N", help="end after N samples")
    _add_interval(top)
    top.add_argument(
        "--sort",
        default="cpu",
        metavar="COLUMN",
        help="a figure by its name in JSON, the highest first, or name or state; "
        "--sort=-COLUMN turns it round (default: %(default)s)",
    )
    top.add_argument(
        "--vm", action="append", metavar="NAME", help="only this VM; may be given several times"
    )
    _add_record(top)
    exporter = add("exporter", "Serve the figures to Prometheus, until interrupted.")
    exporter.add_argument(
        "--listen",
        default="127.0.0.1:9177",
        metavar="ADDRESS:PORT",
        help="where; there is no password (default: %(default)s)",
    )
    _add_interval(exporter)


def _add_interval(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--interval",
        type=float,
        metavar="S",
        help="seconds between two samples (default: interval_s of the configuration)",
    )


def _add_record(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--record",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="keep all samples in a file, behind what is in it; for the interface and top",
    )


def _add_lifecycle(add: Add) -> None:
    # Imported late: a mistyped command need not wait for it.
    from vmtui.actions import ACTIONS  # noqa: PLC0415

    for action in ACTIONS:
        if not action.command or action.prepare is None:
            continue
        command = add(action.command, action.help)
        command.add_argument("names", metavar="NAME", nargs="+")
        if action.dangerous:
            command.add_argument("-y", "--yes", action="store_true", help="do not ask")
        if action.command == "delete":
            configuring.add_deletion(command)
        if action.command == "start":
            add_wait(command, "wait for the login prompt, and say how long it took")


def _add_console(add: Add) -> None:
    console = add("console", "Attach this terminal, or a pipe, to a VM's console.", json=True)
    console.add_argument("name", metavar="NAME")
    console.add_argument(
        "console", metavar="CONSOLE", nargs="?", default="", help="which one, if it has several"
    )
    console.add_argument(
        "--list", action="store_true", help="print the names of its consoles and do nothing else"
    )
    how = console.add_mutually_exclusive_group()
    how.add_argument("--force", action="store_true", help="take it over from whoever has it")
    how.add_argument(
        "--watch", action="store_true", help="only see what is printed, whoever has it"
    )
    console.add_argument(
        "--escape",
        metavar="KEY",
        help="the key that detaches, such as ctrl+a, or none "
        "(default: console_escape of the configuration, which is ctrl+])",
    )
    console.add_argument(
        "--log", metavar="FILE", help="append to a file what the guest prints from now on"
    )
    console.add_argument(
        "--until",
        metavar="REGEX",
        help="detach once the guest has printed this; colours do not count",
    )
    console.add_argument(
        "--timeout", type=float, metavar="S", help="detach after so long; an error with --until"
    )
    log = add("log", "Print the end of the hypervisor's log of a VM, or of what a console printed.")
    log.add_argument("name", metavar="NAME")
    log.add_argument(
        "console_name",
        metavar="CONSOLE",
        nargs="?",
        default="",
        help="what this console printed, instead",
    )
    log.add_argument("--console", action="store_true", help="what the first console printed")


def _add_showing(add: Add) -> None:
    screen = add("screen", "Save what is on a VM's screen, as PNG.")
    screen.add_argument("name", metavar="NAME")
    screen.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="where; - is standard output"
    )
    type_text = add("type", "Type a text on a VM's keyboard, as if by hand.")
    type_text.add_argument("name", metavar="NAME")
    type_text.add_argument("text", metavar="TEXT", help="- reads it from standard input")
    type_text.add_argument(
        "--layout",
        metavar="LAYOUT",
        help="the keyboard that the guest is set to: us, gb, de or fr "
        "(default: keyboard of the configuration)",
    )
    key = add("key", "Press keys on a VM's keyboard, one combination after the other.")
    key.add_argument("name", metavar="NAME")
    key.add_argument("keys", metavar="KEYS", nargs="+", help="such as ctrl-alt-del, f2 or ret")
    view = add("view", "Open a VM's screen in a viewer on the desktop, or tell how to.")
    view.add_argument("name", metavar="NAME")


def _add_machine(add: Add) -> None:
    doctor = add("doctor", "What this machine has for VMs, and what is missing.", json=True)
    doctor.add_argument("--recheck", action="store_true", help="try KVM again")
    config = add("config", "The configuration.")
    config.add_argument("what", choices=("path", "show", "check"))
    completion = add("completion", "Print the completion script of a shell.")
    completion.add_argument("shell", choices=("bash", "fish", "zsh"))
