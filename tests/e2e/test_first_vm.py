"""A new user's first five minutes, in a real terminal on the direct backend."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guest import log_in
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

BOOT_S = 60.0
BACK = ("C-\\", "d")
"""From a console."""


@pytest.fixture
def home() -> Iterator[Path]:
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        yield Path(folder)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    terminal = Terminal(
        home,
        [sys.executable, "-m", "vmtui", "-c", "kvm:"],
        {
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(home),
            "VMTUI_ACCEL": "tcg",
        },
    )
    yield terminal
    terminal.close()


def name_the_new_vm(terminal: Terminal, name: str) -> None:
    """`n`, the proposed name replaced; no key faster than the screen follows."""
    terminal.press("n")
    terminal.wait_for(r"Name\s+micro-1")
    terminal.press("Tab", "C-u")
    terminal.wait_for("A VM needs a name")
    terminal.type(name)
    terminal.wait_for(rf"Name\s+{name}")


def test_create_console_log_in_detach_shut_down_delete(terminal: Terminal, home: Path) -> None:
    # An empty start explains itself.
    screen = terminal.wait_for("Press n", timeout_s=60)
    assert "kvm" in screen

    # n, a name, Enter: a login prompt.
    name_the_new_vm(terminal, "first")
    terminal.press("Enter")
    terminal.wait_for("first login:", BOOT_S)
    terminal.press(*BACK)
    terminal.wait_for(r"first\s+● running")

    # The console again: what was printed before is there, and the guest takes keys.
    terminal.press("c")
    terminal.wait_for("first login:", BOOT_S)
    log_in(terminal, "first")
    terminal.type("echo $((6 * 7))-is-it")
    terminal.press("Enter")
    terminal.wait_for(r"\n42-is-it\s")

    # Back, with the interface as it was.
    terminal.press(*BACK)
    terminal.wait_for(r"first\s+● running")
    assert "42-is-it" not in terminal.screen()

    # Another process sees the same VM; then it is shut down from here.
    terminal.press("d")
    terminal.wait_for(r"first\s+○ off", BOOT_S)

    # Deletion names what goes, and asks.
    terminal.press("X")
    terminal.wait_for(r"Delete first\?")
    terminal.press("y")
    terminal.wait_for("No VMs yet")
    terminal.wait_for("first is in the trash")  # while it is under way, q asks
    assert not (home / "data" / "vmtui" / "vms" / "first").exists()

    terminal.press("q")
    assert terminal.exit_status() == 0
    assert [path.name for path in (home / "vmtui").iterdir()] == []


def test_a_killed_interface_leaves_the_vm_and_the_next_one_shows_it(
    terminal: Terminal, home: Path
) -> None:
    terminal.wait_for("Press n", timeout_s=60)
    name_the_new_vm(terminal, "kept")
    terminal.press("Enter")
    terminal.wait_for("kept login:", BOOT_S)
    terminal.program().kill()
    terminal.exit_status()

    again = Terminal(
        home / "again",
        [sys.executable, "-m", "vmtui", "-c", "kvm:"],
        terminal.environment,
    )
    try:
        again.wait_for(r"kept\s+● running", BOOT_S)
        again.press("c")
        again.wait_for("kept login:", BOOT_S)
        again.press(*BACK)
        again.wait_for(r"kept\s+● running")
        again.press("X")
        again.wait_for("forced off first")
        again.press("y")
        again.wait_until_gone(r"kept\s+● running", BOOT_S)
    finally:
        again.close()
