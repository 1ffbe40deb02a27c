"""`edit` on a real terminal: the editor has it, and an interruption loses nothing."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

VMTUI = [sys.executable, "-m", "vmtui", "--demo"]

EDITOR = """#!/bin/sh
test -t 0 && test -t 1 || exit 1
printf 'what in its place? '
read -r value
sed -i "s/^\\"memory\\" = .*/\\"memory\\" = \\"$value\\"/" "$1"
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        yield Path(folder)


def test_an_edit_has_the_terminal_and_is_kept_when_it_is_interrupted(home: Path) -> None:
    editor = home / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o700)
    environment = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "STATE")}
    environment |= {"VISUAL": str(editor)}
    terminal = Terminal(home, [*VMTUI, "edit", "web-01"], environment)
    try:
        terminal.wait_for("what in its place")
        terminal.type("much")
        terminal.press("Enter")
        terminal.wait_for(r"'much' is not a size[\s\S]*Edit it again\? \[Y/n\]")
        terminal.press("Enter")
        terminal.wait_for(r"n\] *\n.*what in its place")
        terminal.type("2G")
        terminal.press("Enter")
        terminal.wait_for(r'\+"memory" = "2G"[\s\S]*Change web-01 like that\?')
        # Not by its key: that would end the terminal's own shell as well.
        terminal.program().send_signal(signal.SIGINT)
        assert terminal.exit_status() == 130
        terminal.wait_for("The edit is kept: vmtui edit web-01 --from")
        [kept] = (home / "STATE" / "vmtui" / "edits").iterdir()
        assert '"memory" = "2G"' in kept.read_text()
        assert "vmtui: " not in kept.read_text()
    finally:
        terminal.close()
