"""What shells complete: the parser's words by shtab, and the names of VMs and images by asking."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import shtab

# Names are a host's: no shell may expand them, as bash's `compgen -W` would.
_PREAMBLE = {
    "bash": """\
_vmtui_names() {
  local name
  timeout 2 "${COMP_WORDS[0]}" "${@:2}" --names 2>/dev/null | while IFS= read -r name; do
    [[ $name == "$1"* ]] && printf '%q\\n' "$name"
  done
}
_vmtui_vms() {
  _vmtui_names "$1" list
}
_vmtui_images() {
  _vmtui_names "$1" images list
}
_vmtui_images_or_files() {
  _vmtui_images "$1"
  compgen -f -- "$1"
}""",
    "zsh": """\
_vmtui_names() {
  local -a names
  names=(${(f)"$(timeout 2 vmtui ${=1} --names 2>/dev/null)"})
  compadd "${@:2}" -a names
}
_vmtui_vms() {
  _vmtui_names list "$@"
}
_vmtui_images() {
  _vmtui_names "images list" "$@"
}
_vmtui_images_or_files() {
  _vmtui_images "$@"
  _files "$@"
}""",
}
_IMAGES_IN_FISH = "timeout 2 vmtui images list --names 2>/dev/null"

_VMS = {
    "bash": "_vmtui_vms",
    "zsh": "_vmtui_vms",
    "fish": "(timeout 2 vmtui list --names 2>/dev/null)",
    "preamble": _PREAMBLE,
}
_IMAGES = {
    "bash": "_vmtui_images",
    "zsh": "_vmtui_images",
    "fish": f"({_IMAGES_IN_FISH})",
    "preamble": _PREAMBLE,
}
_IMAGES_OR_FILES = {
    "bash": "_vmtui_images_or_files",
    "zsh": "_vmtui_images_or_files",
    "fish": f"({_IMAGES_IN_FISH}; __fish_complete_path (commandline -ct))",
    "preamble": _PREAMBLE,
}

_COMPLETED_BY = {
    "NAME": _VMS,
    "IMAGE": _IMAGES_OR_FILES,
    "FILE": shtab.FILE,
    "ISO": shtab.FILE,
    "SOURCE": shtab.FILE,
    "TARGET": shtab.FILE,
    "FOLDER[:TAG][,ro]": shtab.DIRECTORY,
}
"""By the word that stands for an argument in the help."""

_OF_NEW = frozenset({"create", "sandbox", "images import", "trash"})
"""Commands whose NAME is not that of a VM which is there."""


_SEVERAL_IN_ZSH = re.compile(r'"\(\*\)::?')
"""How shtab begins an argument that may be given several times: zsh takes it for the last one."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of bash, fish or zsh. Marks the arguments of `parser` for it."""
    for command, argument in _arguments(parser):
        completed = _COMPLETED_BY.get(str(argument.metavar))
        if completed is _VMS and command in _OF_NEW:
            completed = None
        elif completed is _IMAGES_OR_FILES and command.startswith("images "):
            completed = _IMAGES
        if completed is not None:
            argument.complete = completed  # type: ignore[attr-defined]
    text = str(shtab.complete(parser, shell=shell)).rstrip("\n") + "\n"
    return _SEVERAL_IN_ZSH.sub('"*:', text) if shell == "zsh" else text


def _arguments(
    parser: argparse.ArgumentParser, command: str = ""
) -> Iterator[tuple[str, argparse.Action]]:
    """Every argument, with the words of its command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield from _arguments(verb, f"{command} {name}".strip())
        else:
            yield command, action
