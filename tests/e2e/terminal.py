"""A real terminal for end-to-end tests: a tmux server of its own, ended with the test."""

from __future__ import annotations

import os
import re
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

LOOK_INTERVAL_S = 0.05


class Terminal:
    """One program in one tmux window; its screen is read as text."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 120,
        rows: int = 40,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.environment = dict(environment)
        self._socket = folder / "tmux.sock"
        self.status_file = folder / "status"
        variables = [f"{key}={value}" for key, value in environment.items()]
        # tmux runs one shell command; everything outside goes in as an argument, not as text.
        script = f'"$@"; echo $? > "{self.status_file}"; sleep 600'
        self._tmux(
            *("-u", "-f", "/dev/null", "new-session", "-d"),
            *("-x", str(columns), "-y", str(rows)),
            *(
                "env",
                "-u",
                "COLUMNS",
                "-u",
                "LINES",
                "LANG=C.UTF-8",
                "LC_ALL=C.UTF-8",
                "TERM=tmux-256color",
                *variables,
            ),
            *("sh", "-c", script, "sh", *command),
        )
        self._tmux("set-option", "-g", "status", "off")
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *arguments],
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, such as `Enter` or `C-]`."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type `text` as it is."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, timeout_s: float = 60.0) -> str:
        """The screen, once it matches; the last screen in the failure if it never does."""
        return self._wait(pattern, timeout_s, wanted=True)

    def wait_until_gone(self, pattern: str, timeout_s: float = 60.0) -> str:
        """The screen, once it does not match any more."""
        return self._wait(pattern, timeout_s, wanted=False)

    def _wait(self, pattern: str, timeout_s: float, *, wanted: bool) -> str:
        deadline_s = time.monotonic() + timeout_s
        while True:
            screen = self.screen()
            if bool(re.search(pattern, screen)) is wanted:
                return screen
            if time.monotonic() > deadline_s:
                relation = "no" if wanted else "still"
                raise AssertionError(f"{relation} {pattern!r} on the screen:\n{screen}")
            time.sleep(LOOK_INTERVAL_S)

    def exit_status(self, timeout_s: float = 60.0) -> int:
        """The program's exit status, once it has ended."""
        deadline_s = time.monotonic() + timeout_s
        while not self.status_file.exists() or not self.status_file.read_text().strip():
            assert time.monotonic() < deadline_s, f"still running:\n{self.screen()}"
            time.sleep(LOOK_INTERVAL_S)
        return int(self.status_file.read_text())

    def settings(self) -> list[object]:
        """What `stty -a` shows: whether keys are echoed, and all the rest."""
        path = self._tmux("display-message", "-p", "#{pane_tty}").strip()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY)
        try:
            return list(termios.tcgetattr(descriptor))
        finally:
            os.close(descriptor)

    def modes(self) -> dict[str, str]:
        """What a program has switched on in the terminal, by tmux's names."""
        names = ("alternate_on", "mouse_any_flag", "keypad_cursor_flag", "wrap_flag", "cursor_flag")
        shown = self._tmux("display-message", "-p", " ".join(f"#{{{name}}}" for name in names))
        return dict(zip(names, shown.split(), strict=True))

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def program(self) -> psutil.Process:
        """The process that runs in it."""
        shell = psutil.Process(int(self._tmux("list-panes", "-F", "#{pane_pid}")))
        [program] = shell.children()
        return program

    def close(self) -> None:
        """End this tmux server and what runs in it."""
        subprocess.run(
            ["tmux", "-S", str(self._socket), "kill-server"], check=False, capture_output=True
        )
