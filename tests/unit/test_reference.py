"""The reference is what vmtui is now, and shells complete by it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from reference.__main__ import ROOT
from reference.command_line import commands
from reference.configuration import entries
from reference.files import FILES
from tests.e2e.terminal import Terminal
from vmtui.commands import PLACES

HOSTILE = "x$(touch pwned)"


@pytest.mark.parametrize("path", FILES)
def test_what_is_generated_is_current(path: str) -> None:
    kept = ROOT / path
    assert kept.is_file() and kept.read_text("utf-8") == FILES[path](), "run: make reference"


def test_every_command_is_told_with_words_for_each_option() -> None:
    told = commands()
    assert {command.name.partition(" ")[0] for command in told} == set(PLACES)
    without = [
        (command.name, argument.names)
        for command in told
        for argument in command.arguments
        if argument.names and not argument.help
    ]
    assert without == []


def test_every_key_of_the_configuration_is_told() -> None:
    assert [entry.key for entry in entries() if not entry.about and "." not in entry.key] == []


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell whose `vmtui` knows a few names."""
    program = tmp_path / "bin" / "vmtui"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f"'list --names') printf '%s\\n' web-01 web-02 'my vm' '{HOSTILE}' ;;\n"
        "'images list --names') printf '%s\\n' debian-13 ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    homes = {f"XDG_{name}_HOME": str(tmp_path) for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    return {
        **os.environ,
        **homes,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }


def run(shell: dict[str, str], *argv: str) -> list[str]:
    done = subprocess.run(
        argv, env=shell, cwd=shell["HOME"], capture_output=True, text=True, timeout=60, check=True
    )
    assert not (Path(shell["HOME"]) / "pwned").exists()
    return done.stdout.splitlines()


CASES = [
    ("vmtui sta", ["start"]),
    ("vmtui start web", ["web-01", "web-02"]),
    ("vmtui start web-01 my", ["my vm"]),
    ("vmtui start x", [HOSTILE]),
    ("vmtui images pull d", ["debian-13"]),
    ("vmtui create x --image deb", ["debian-13"]),
    ("vmtui create web", []),
    ("vmtui tpm web-01 b", ["backup"]),
    ("vmtui attach x --confirm web-0", ["web-01", "web-02"]),
    ("vmtui set web-01 --pl", ["--plan"]),
]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash_completes(shell: dict[str, str], line: str, expected: list[str]) -> None:
    # What is completed is typed for the user; `eval` reads it as bash will.
    script = """
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _shtab_vmtui 2>/dev/null
        for word in "${COMPREPLY[@]}"; do eval "printf '%s\\n' $word"; done
    """
    path = ROOT / "share/bash-completion/completions/vmtui"
    argv = ("bash", "--norc", "-c", script, "bash", str(path), *line.split())
    assert run(shell, *argv) == expected


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_fish_completes(shell: dict[str, str], line: str, expected: list[str]) -> None:
    path = ROOT / "share/fish/vendor_completions.d/vmtui.fish"
    argv = ("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", str(path), line)
    assert [found.partition("\t")[0] for found in run(shell, *argv)] == expected


def test_zsh_completes(shell: dict[str, str], tmp_path: Path) -> None:
    # It completes in a terminal only; typed and Tab, the line becomes what is expected of it.
    kept = {name: shell[name] for name in ("PATH", "HOME")}
    terminal = Terminal(tmp_path / "tmux", ["zsh", "-f", "-i"], kept)
    try:
        folder = ROOT / "share/zsh/site-functions"
        terminal.type(f"PS1='> ' fpath=({folder} $fpath); autoload -U compinit; compinit -u -D")
        terminal.press("Enter")
        terminal.wait_for(r"\n>\s*\Z")
        for typed, completed in (
            ("vmtui sta", "vmtui start"),
            ("vmtui start my", r"vmtui start my\ vm"),
            ("vmtui start x", r"vmtui start x\$\(touch\ pwned\)"),
            ("vmtui start web-01 my", r"vmtui start web-01 my\ vm"),
            ("vmtui images pull d", "vmtui images pull debian-13"),
            ("vmtui -c kvm: tpm web-01 b", "vmtui -c kvm: tpm web-01 backup"),
        ):
            terminal.type(typed)
            terminal.press("Tab")
            terminal.wait_for(rf"\n> {re.escape(completed)}\s*\Z")
            terminal.press("C-u")
            terminal.wait_for(r"\n>\s*\Z")
    finally:
        terminal.close()
    assert not (tmp_path / "pwned").exists()
