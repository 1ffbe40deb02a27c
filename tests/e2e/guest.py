"""A micro guest on the direct backend, by the command line, and its shell on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.terminal import Terminal

LIMIT_S = 120.0


@dataclass(frozen=True)
class Guest:
    """A VM that runs, and the environment in which it is known."""

    name: str
    home: Path
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        """The arguments of a vmtui in that environment."""
        return [sys.executable, "-m", "vmtui", "-c", "kvm:", *arguments]

    def vmtui(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.variables,
            input=stdin,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment of a command."""
        return {**os.environ, **self.environment}

    def terminal(self, *command: str, columns: int = 100, rows: int = 30) -> Terminal:
        """A terminal of its own in which `command` runs."""
        folder = Path(tempfile.mkdtemp(prefix="t", dir=self.home))
        return Terminal(folder, command, self.environment, columns=columns, rows=rows)


@contextmanager
def running(home: Path, name: str, *, consoles: str = "") -> Iterator[Guest]:
    """The guest at its login prompt; deleted afterwards. `consoles` is as in `vm.toml`."""
    guest = Guest(
        name,
        home,
        {
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(home),
            "VMTUI_ACCEL": "tcg",
        },
    )
    assert guest.vmtui("create", name).returncode == 0
    definition = home / "data" / "vmtui" / "vms" / name / "vm.toml"
    if consoles:
        definition.write_text(f"console = {consoles}\n{definition.read_text()}")
    try:
        started = guest.vmtui("start", name, "--wait")
        assert started.returncode == 0, started.stderr
        yield guest
    finally:
        guest.vmtui("delete", name, "--yes")


END = r"\s*(\n ctrl\+.*)?\s*\Z"
"""What is behind the guest's last words: nothing, or the interface's line of keys."""


def key_arrives(terminal: Terminal, code: str, *keys: str) -> None:
    """Press keys of which the guest's shell gets one, with that hexadecimal code.

    They are pressed only when the guest takes keys raw: before that some would be signals to it.
    """
    terminal.type(
        f"stty raw -echo; printf 'wan''ts-{code}\\r\\n'; dd bs=1 count=1 2>/dev/null >/tmp/key; "
        "stty sane; od -tx1 /tmp/key"
    )
    terminal.press("Enter")
    terminal.wait_for(rf"\nwants-{code}\s")
    terminal.press(*keys)
    terminal.wait_for(rf"\n0000000 {code}\s")


def log_in(terminal: Terminal, name: str) -> None:
    """Answer the guest's questions until it gives a shell.

    A guest throws away what is typed between its question and its readiness for the answer, so a
    question that still stands after a while is answered again.
    """
    answers = {f"{name} login:": "root", "Password:": "micro"}
    pattern = rf"({name} login:|Password:|{name}:~#){END}"
    for _ in range(10):
        found = re.search(pattern, terminal.wait_for(pattern))
        assert found is not None
        question = found[1]
        if question not in answers:
            return
        terminal.type(answers[question])
        terminal.press("Enter")
        try:
            terminal.wait_until_gone(rf"{question}( root)?{END}", timeout_s=3)
        except AssertionError:
            continue
    raise AssertionError(f"no shell:\n{terminal.screen()}")
