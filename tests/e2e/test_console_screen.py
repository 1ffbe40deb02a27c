"""The embedded console in a real terminal, on a real guest: through vi, top, absence and reboot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.guest import END, Guest, key_arrives, log_in, running
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

BOOT_S = 60.0
PREFIX = "C-\\"
SHELL = "guest:~#"
PROMPT = rf"{SHELL}{END}"


@pytest.fixture
def guest() -> Iterator[Guest]:
    with (
        tempfile.TemporaryDirectory(prefix="vmtui-") as folder,
        running(Path(folder), "guest") as guest,
    ):
        yield guest


def run(terminal: Terminal, command: str, expected: str) -> None:
    """Type a command and wait for what it prints at the start of a line."""
    terminal.type(command)
    terminal.press("Enter")
    terminal.wait_for(rf"\n{expected}\s")
    terminal.wait_for(PROMPT)


def test_a_console_is_lived_in(guest: Guest) -> None:
    terminal = guest.terminal(*guest.command(), columns=100, rows=30)
    try:
        terminal.wait_for(r"guest\s+● running")
        terminal.press("c")
        log_in(terminal, "guest")
        terminal.press(PREFIX, "z")
        terminal.wait_for("stty rows 28 cols 100")
        run(terminal, "stty size", "28 100")
        full_screen_programs(terminal)
        every_key_is_the_guests(terminal)
        what_is_printed_in_absence_is_there(terminal)
        it_follows_the_guest_through_reboot_and_power_off(terminal, guest)
        terminal.press(PREFIX, "d")
        terminal.wait_for(r"guest\s+● running")
        terminal.press("q")
        assert terminal.exit_status() == 0
    finally:
        terminal.close()


def full_screen_programs(terminal: Terminal) -> None:
    terminal.type("vi /tmp/note")
    terminal.press("Enter")
    terminal.wait_for(r"\n~\s*\n~")
    terminal.press("C-g")  # its last line may say that it was told where the shell's cursor is
    terminal.wait_for(r"\n- /tmp/note")
    terminal.type("isaid to vi")
    terminal.wait_for(r"\nsaid to vi\n")
    terminal.press("Escape")
    terminal.wait_for(r"\n- /tmp/note")
    terminal.type(":wq")
    terminal.press("Enter")
    terminal.wait_for(PROMPT)
    run(terminal, "cat /tmp/note", "said to vi")

    terminal.type("top")
    terminal.press("Enter")
    terminal.wait_for(r"PID +PPID +USER")
    terminal.press("q")
    terminal.wait_for(PROMPT)


def every_key_is_the_guests(terminal: Terminal) -> None:
    for keys, code in ((("C-]",), "1d"), (("C-a",), "01"), ((PREFIX, PREFIX), "1c")):
        key_arrives(terminal, code, *keys)
        terminal.wait_for(PROMPT)
    terminal.type("echo loo''ps; while :; do :; done")
    terminal.press("Enter")
    terminal.wait_for(r"\nloops\s")
    terminal.press("C-c")
    run(terminal, "echo $((6 * 7))-goes-on", "42-goes-on")


def what_is_printed_in_absence_is_there(terminal: Terminal) -> None:
    terminal.type("(sleep 3; echo mean''while) & echo le''aving")
    terminal.press("Enter")
    terminal.wait_for(r"\nleaving\s")
    terminal.press(PREFIX, "d")
    terminal.wait_for(r"guest\s+● running")
    terminal.press("c")
    terminal.wait_for(rf"{SHELL} meanwhile{END}")


def it_follows_the_guest_through_reboot_and_power_off(terminal: Terminal, guest: Guest) -> None:
    terminal.type("clear; reboot")
    terminal.press("Enter")
    terminal.wait_for("guest login:", BOOT_S)
    log_in(terminal, "guest")
    terminal.type("clear; poweroff")
    terminal.press("Enter")
    terminal.wait_for("attached again when the VM starts", BOOT_S)
    assert guest.vmtui("start", "guest").returncode == 0
    terminal.wait_for(rf"guest login:{END}", BOOT_S)
    log_in(terminal, "guest")
