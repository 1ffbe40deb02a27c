"""The manual page, vmtui(1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reference.command_line import Argument, Command, commands, interface
from reference.pages import spelt, written

_EXIT_STATUS = (
    ("0", "It is done."),
    ("1", "It failed, for the reason that is told on standard error."),
    ("2", "It was not understood."),
    ("3", "There is no such VM."),
    ("4", "It was refused: read-only, protected, or not confirmed."),
    ("130", "It was interrupted."),
)
_ENVIRONMENT = (
    ("LIBVIRT_DEFAULT_URI", "The libvirt connection that is shown beside kvm: by itself."),
    ("VISUAL, EDITOR", "What opens a definition."),
    ("VMTUI_ACCEL", "kvm or tcg: what acceleration auto comes to, whatever was proven."),
    ("HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE", "For downloads of images."),
    (
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR",
        "Where the files below are.",
    ),
)
_FILES = (
    (
        "~/.config/vmtui/config.toml",
        "The configuration; beside it images.toml, presets and themes.",
    ),
    ("~/.local/share/vmtui/vms/NAME/", "A VM of the direct backend: vm.toml and its disks."),
    ("~/.local/share/vmtui/images/", "The library of images."),
    ("~/.local/state/vmtui/", "What automatic balance did, and logs of consoles."),
    ("$XDG_RUNTIME_DIR/vmtui/NAME/", "What runs: sockets and logs."),
)
_EXAMPLES = (
    ("vmtui \\-\\-demo", "Look at a fleet that is not there."),
    ("vmtui create web \\-\\-image debian\\-13 \\-\\-start \\-\\-wait", "A VM from a cloud image."),
    ("vmtui \\-c qemu+ssh://lab/system list", "The VMs of another host."),
)


def manual() -> str:
    """share/man/man1/vmtui.1"""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield '.\\" Made by `make reference`; what is changed here is lost.'
    yield '.TH VMTUI 1 "" vmtui "User Commands"'
    yield from (".SH NAME", "vmtui \\- manage virtual machines from a terminal")
    yield from (".SH SYNOPSIS", ".B vmtui", "[OPTIONS] [COMMAND]")
    yield from (".SH DESCRIPTION", _escaped(interface().about))
    yield _escaped(
        "A VM is named NAME, or CONNECTION/NAME where two share a name. Keys are listed by ? in "
        "the interface, settings by vmtui settings."
    )
    yield ".SH OPTIONS"
    yield from _arguments(interface().arguments)
    yield _escaped("The first three stand before or behind a command.")
    yield ".SH COMMANDS"
    for command in commands():
        yield from _command(command)
    for title, rows in (
        ("EXIT STATUS", _EXIT_STATUS),
        ("ENVIRONMENT", _ENVIRONMENT),
        ("FILES", _FILES),
    ):
        yield f".SH {title}"
        for what, about in rows:
            yield from (".TP", f".B {_escaped(what)}", _escaped(about))
    yield ".SH EXAMPLES"
    for typed, about in _EXAMPLES:
        yield from (".TP", f".B {typed}", _escaped(about))
    yield from (".SH SEE ALSO", ".BR qemu (1),", ".BR virsh (1),", ".BR swtpm (8)")


def _command(command: Command) -> Iterator[str]:
    yield f".SS {_escaped(written(command))}"
    yield _escaped(command.about)
    yield from _arguments(a for a in command.arguments if a.names or a.help)


def _arguments(arguments: Iterable[Argument]) -> Iterator[str]:
    indented = False
    for argument in arguments:
        yield from (".TP", f".B {_escaped(spelt(argument))}", _escaped(argument.help) or "\\&")
        indented = True
    if indented:
        yield ".PP"


def _escaped(text: str) -> str:
    """Text as roff prints it: no requests, no escapes, hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
