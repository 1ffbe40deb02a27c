"""A vmtui that has imported whatever a command needs, and is forked for each: to be killed often.

What is killed is a process of its own, from `vmtui.cli.main` on; only the seconds in which Python
would start are left out. Run as a program, it takes orders of one line and tells what came of them.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self

PACKAGES = ("vmtui.commands", "vmtui.backends.kvm", "vmtui.images")
STRAGGLERS_LIMIT_S = 60
_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command; a status below 0 is that of a signal."""

    status: int
    took_s: float
    output: str

    @property
    def killed(self) -> bool:
        """Whether it was, before it ended by itself."""
        return self.status == -signal.SIGKILL


class Warm:
    """Such a process, in an environment of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self,
        *argv: str,
        kill_after_s: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """`vmtui ARGV`, to its end or as long as that; all that it had started has ended, too."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"argv": argv, "kill_after_s": kill_after_s, "environment": environment or {}}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ran(**json.loads(self._process.stdout.readline()))


def serve() -> None:
    """Take orders until there are no more."""
    # Whatever outlives a killed vmtui becomes a child of this process, which waits for its end.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    for line in sys.stdin:
        print(json.dumps(_ran(json.loads(line))), flush=True)


def _ran(order: Mapping[str, Any]) -> Mapping[str, Any]:
    output = os.memfd_create("output")
    began_s = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become(order, output)
    descriptor = os.pidfd_open(pid)
    ended, _, _ = select.select([descriptor], [], [], order["kill_after_s"])
    if not ended:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    took_s = time.monotonic() - began_s
    _wait_for_stragglers()
    os.lseek(output, 0, os.SEEK_SET)
    with os.fdopen(output, "rb") as file:
        said = file.read().decode(errors="replace")
    return {"status": os.waitstatus_to_exitcode(status), "took_s": took_s, "output": said}


def _become(order: Mapping[str, Any], output: int) -> NoReturn:
    from vmtui.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(order["environment"])
    status = 1
    try:
        status = main(order["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait_for_stragglers() -> None:
    signal.alarm(STRAGGLERS_LIMIT_S)  # this process ends by it, and the test fails
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        signal.alarm(0)


if __name__ == "__main__":
    serve()
