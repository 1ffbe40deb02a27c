"""Boots the micro image with plain QEMU, and talks to its serial console and its monitor."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from vmtui.images.micro import MicroImage

PROMPT = r"\w+:[^\r\n]*# "
BOOT_TIMEOUT_S = 60.0

_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bc|\r")


class Guest:
    """One running guest; ends with the `with` block whatever happens in it."""

    def __init__(
        self, image: MicroImage, folder: Path, *extra: str, cmdline: str = "", machine: str = "q35"
    ) -> None:
        self._monitor_path = folder / "qmp"
        self.argv = [
            *("qemu-system-x86_64", "-nodefaults", "-nographic", "-serial", "stdio"),
            *("-M", machine, "-accel", "tcg", "-m", "128"),
            *("-qmp", f"unix:{self._monitor_path},server=on,wait=off"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
            *("-append", f"{image.cmdline} {cmdline}", *extra),
        ]
        self.output = b""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read_until(self, pattern: str, timeout_s: float = BOOT_TIMEOUT_S) -> str:
        """What the console prints from here up to and with `pattern`, without escape sequences."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while True:
            text = _ESCAPES.sub(b"", self.output).decode(errors="replace")
            if found := re.search(pattern, text, re.MULTILINE):
                self.output = text[found.end() :].encode()
                return text[: found.end()]
            rest_s = deadline - time.monotonic()
            readable, _, _ = select.select([self._process.stdout], [], [], max(0, rest_s))
            chunk = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                reason = "the guest ended" if readable else f"{timeout_s} s passed"
                raise AssertionError(f"no {pattern!r}: {reason}; last came {text[-2000:]!r}")
            self.output += chunk

    def send(self, line: str) -> None:
        """Type `line` and Enter."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def login(self) -> None:
        """Wait for the login prompt, and log in."""
        self.read_until(r"\w login: ")
        self.send("root")
        self.read_until("Password: ")
        self.send("micro")
        self.read_until(PROMPT)

    def run(self, command: str) -> str:
        """What `command` prints at the shell prompt."""
        self.send(command)
        self.read_until(r"\n")
        return re.sub(rf"{PROMPT}\Z", "", self.read_until(PROMPT)).strip()

    def wait_for(self, command: str, pattern: str, timeout_s: float = 20.0) -> str:
        """What `command` prints once that has `pattern` in it."""
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, printed := self.run(command)):
            assert time.monotonic() < deadline, f"{command}: no {pattern!r} in {printed!r}"
            time.sleep(0.2)
        return printed

    def monitor(self, command: str) -> Any:
        """The answer of QEMU's monitor to `command`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._monitor_path))
            with connection.makefile("rw") as stream:
                stream.readline()
                for name in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": name}) + "\n")
                    stream.flush()
                    while "event" in (answer := json.loads(stream.readline())):
                        pass
        return answer["return"]

    def wait(self, timeout_s: float = 30.0) -> int:
        """QEMU's exit status, once the guest has powered off."""
        self._process.communicate(timeout=timeout_s)
        return self._process.returncode
