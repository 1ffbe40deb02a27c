"""`vmtui console` against `socat` on the same console socket: how fast what a guest prints moves.

A flood takes the place of QEMU on the console's socket of a running VM, so that the copying itself
is measured: what a real guest's serial port gives would leave both of them waiting for it. Both
print to /dev/null, and to a terminal that is read as fast as it can be.
"""

from __future__ import annotations

import os
import pty
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.result import Result

RUNS = 7
BAR = 1 / 0.9
"""At least 0.9 of socat's speed; figures here are times."""

NULL_BYTES = 1 << 30
PTY_BYTES = 1 << 27
READ_BYTES = 1 << 16
LIMIT_S = 120.0

_LINES = b"".join(
    b"\x1b[0;32m[  OK  ]\x1b[0m Started \x1b[0;1;39mservice-%03d.service\x1b[0m - of the flood.\r\n"
    % number
    for number in range(1000)
)
FLOOD = _LINES * (1 + (1 << 20) // len(_LINES))


def run(runs: int = RUNS) -> list[Result]:
    """Alternate both, so that neither gets the quieter machine; medians."""
    with _guest() as (environment, console):
        vmtui = [sys.executable, "-m", "vmtui", "-c", "kvm:", "console", "bench"]
        socat = ["socat", "-", f"UNIX-CONNECT:{console}"]
        raw_socat = ["socat", "-,raw,echo=0", f"UNIX-CONNECT:{console}"]
        with _listening(console) as server:
            to_null = [
                (_to_null(server, vmtui, environment), _to_null(server, socat, environment))
                for _ in range(runs)
            ]
            to_pty = [
                (_to_pty(server, vmtui, environment), _to_pty(server, raw_socat, environment))
                for _ in range(runs)
            ]
    return [
        _result("/dev/null", NULL_BYTES, to_null),
        _result("a terminal", PTY_BYTES, to_pty),
    ]


def _result(where: str, size_bytes: int, times_s: Sequence[tuple[float, float]]) -> Result:
    ours_s, peers_s = (statistics.median(side) for side in zip(*times_s, strict=True))
    for who, taken_s in (("vmtui console", ours_s), ("socat", peers_s)):
        print(f"{who} to {where}: median {size_bytes / taken_s / 1e6:.0f} MB/s")
    return Result(f"console to {where} / socat", ours_s / peers_s, BAR)


@contextmanager
def _guest() -> Iterator[tuple[dict[str, str], Path]]:
    """A running VM, and where its console's socket is."""
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        environment = {
            **os.environ,
            "XDG_DATA_HOME": f"{folder}/data",
            "XDG_CONFIG_HOME": f"{folder}/config",
            "XDG_RUNTIME_DIR": folder,
        }

        def vmtui(*arguments: str) -> None:
            command = [sys.executable, "-m", "vmtui", "-c", "kvm:", *arguments]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

        vmtui("create", "bench", "--start", "--wait")
        try:
            yield environment, Path(folder) / "vmtui" / "bench" / "console.sock"
        finally:
            vmtui("delete", "bench", "--yes")


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        server.settimeout(LIMIT_S)
        yield server


def _to_null(
    server: socket.socket, command: Sequence[str], environment: Mapping[str, str]
) -> float:
    """Seconds from the first byte to the end of the reader."""
    # Standard input stays open: its end would be the end of socat.
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        connection, _ = server.accept()
        with connection:
            started_s = time.perf_counter()
            flood(connection, NULL_BYTES)
            taken_s = time.perf_counter() - started_s
        _end(process)
    return taken_s


def _to_pty(server: socket.socket, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from the first byte until all of it came out of the terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        connection, _ = server.accept()
        # A process of its own floods, so that this one only reads.
        flooder = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.attach_throughput", str(PTY_BYTES)],
            stdin=connection.fileno(),
        )
        connection.close()
        started_s = time.perf_counter()
        left = PTY_BYTES
        while left > 0:
            left -= len(os.read(ours, READ_BYTES))
        taken_s = time.perf_counter() - started_s
        flooder.wait(LIMIT_S)
        _end(process)
    os.close(ours)
    return taken_s


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(LIMIT_S)


def flood(connection: socket.socket, size_bytes: int) -> None:
    """Write so many bytes."""
    view = memoryview(FLOOD)
    while size_bytes > 0:
        piece = view[:size_bytes]
        connection.sendall(piece)
        size_bytes -= len(piece)


if __name__ == "__main__":
    flood(socket.socket(fileno=0), int(sys.argv[1]))
