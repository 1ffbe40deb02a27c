"""`vmtui console` in a real terminal and in pipes, attached to a real guest."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.guest import Guest, key_arrives, log_in, running
from tests.e2e.terminal import LOOK_INTERVAL_S, Terminal

pytestmark = pytest.mark.slow

REPORTS_ITS_END = ["sh", "-c", 'echo "before"; "$@"; echo "ended: $?"', "sh"]
PROMPT = r"guest:~#"


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    """With two consoles; root is logged in on the first."""
    with (
        tempfile.TemporaryDirectory(prefix="vmtui-") as folder,
        running(Path(folder), "guest", consoles='["serial", "virtio"]') as guest,
    ):
        terminal = guest.terminal(*guest.command("console", "guest"))
        try:
            terminal.wait_for("guest login:")
            log_in(terminal, "guest")
        finally:
            terminal.close()
        yield guest


@contextmanager
def attached(guest: Guest, *options: str) -> Iterator[tuple[Terminal, list[object]]]:
    """A terminal at the guest's prompt, and its settings from before."""
    gate = Path(tempfile.mkdtemp(dir=guest.home)) / "gate"
    os.mkfifo(gate)
    wait = ["sh", "-c", 'read -r _ <"$0"; exec "$@"', str(gate)]
    command = [*REPORTS_ITS_END, *wait, *guest.command("console", "guest", *options)]
    terminal = guest.terminal(*command)
    try:
        terminal.wait_for("before")
        before = terminal.settings()
        gate.write_text("go\n")
        until(lambda: terminal.settings() != before)
        # What was printed before ends in a prompt, so the size is typed at once.
        terminal.wait_for(rf"stty rows 30 cols 100\s*\n{PROMPT}\s*\Z")
        yield terminal, before
    finally:
        terminal.close()


def run(terminal: Terminal, command: str, expected: str) -> str:
    """Type a command and wait for what it prints at the start of a line, and for the prompt."""
    terminal.type(command)
    terminal.press("Enter")
    return terminal.wait_for(rf"(?s)\n{expected}\s.*{PROMPT}\s*\Z")


def test_a_session_with_vi_and_an_interrupt(guest: Guest) -> None:
    with attached(guest) as (terminal, before):
        run(terminal, "stty size", "30 100")

        terminal.type("vi /tmp/note")
        terminal.press("Enter")
        terminal.wait_for(r"\n~\s*\n~")
        terminal.press("C-g")  # its last line may say that it was told where the shell's cursor is
        terminal.wait_for(r"\n- /tmp/note")
        terminal.type("isaid to vi")
        terminal.wait_for(r"\Asaid to vi\n")
        terminal.press("Escape")
        terminal.wait_for(r"\n- /tmp/note")
        terminal.type(":wq")
        terminal.press("Enter")
        terminal.wait_for(rf"{PROMPT}\s*\Z")
        run(terminal, "cat /tmp/note", "said to vi")

        terminal.type("echo loo''ps; while :; do :; done")
        terminal.press("Enter")
        terminal.wait_for(r"\nloops\s")
        terminal.press("C-c")
        run(terminal, "echo $((6 * 7))-goes-on", "42-goes-on")

        terminal.resize(90, 25)
        terminal.wait_for("stty rows 25 cols 90")
        run(terminal, "stty size", "25 90")

        terminal.press("C-]")
        terminal.wait_for("guest: detached")
        terminal.wait_for("ended: 0")
        assert terminal.settings() == before


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_kill_gives_the_terminal_back(guest: Guest, end: signal.Signals) -> None:
    with attached(guest) as (terminal, before):
        usual = terminal.modes()
        run(terminal, "echo $((6 * 7))-before", "42-before")
        # As a full-screen program does: alternate screen, mouse, keys, no wrapping, no cursor.
        terminal.type(r"printf '\033[?1049h\033[?1003h\033[?1h\033[?7l\033[?25l\033[HFU''LL\n'")
        terminal.press("Enter")
        terminal.wait_for("FULL")
        assert not usual.items() & terminal.modes().items()
        assert terminal.settings() != before
        [program] = terminal.program().children()
        program.send_signal(end)
        screen = terminal.wait_for(rf"ended: {128 + end}")
        assert "42-before" in screen, "the screen from before is there again"
        assert terminal.modes() == usual
        assert terminal.settings() == before
    # For those who come after: they are shown what was printed.
    undone = guest.vmtui(
        *("console", "guest", "--until", "DONE", "--timeout", "20"),
        stdin=rb"printf '\033[?1049l\033[?1003l\033[?1l\033[?7h\033[?25h\033[2JDO''NE\n'" + b"\n",
    )
    assert undone.returncode == 0, undone.stderr


def test_a_stop_from_outside_gives_the_terminal_back_for_so_long(guest: Guest) -> None:
    with attached(guest) as (terminal, before):
        raw = terminal.settings()
        [program] = terminal.program().children()
        for stop in (signal.SIGTSTP, signal.SIGSTOP):
            program.send_signal(stop)
            until(lambda: program.status() == psutil.STATUS_STOPPED)
            if stop == signal.SIGTSTP:
                assert terminal.settings() == before
            program.send_signal(signal.SIGCONT)
            run(terminal, f"echo $((6 * 7))-after-{stop.value}", f"42-after-{stop.value}")
            assert terminal.settings() == raw
        program.send_signal(signal.SIGTERM)
        terminal.wait_for("ended: 143")
        assert terminal.settings() == before


def test_another_escape_key_or_none(guest: Guest) -> None:
    with attached(guest, "--escape", "ctrl+a") as (terminal, before):
        key_arrives(terminal, "1d", "C-]")
        terminal.press("C-a")
        terminal.wait_for("ended: 0")
        assert terminal.settings() == before


def test_text_goes_in_and_out_through_pipes(guest: Guest) -> None:
    done = guest.vmtui(
        *("console", "guest", "--until", r"^42-piped\n", "--timeout", "30"),
        stdin=b"echo $((6 * 7))-piped\n",
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\r\n42-piped\r\n" in done.stdout
    done = guest.vmtui("console", "guest", "--until", "never", "--timeout", "0.5")
    assert done.returncode == 1
    assert done.stderr == b"vmtui: guest did not print 'never' within 0.5 s\n"


def test_all_byte_values_go_through_pipes_in_both_directions(guest: Guest) -> None:
    every_byte = bytes(range(256)) * 8
    expected = hashlib.md5(every_byte).hexdigest().encode()
    command = guest.command("console", "guest", "--until", "[0-9a-f]{32}  -", "--timeout", "60")
    with subprocess.Popen(
        command, env=guest.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(
            b"stty raw -echo; echo rea''dy; head -c %d >/tmp/in; printf '<'; cat /tmp/in; "
            b"printf '>'; stty sane; md5sum </tmp/in\n" % len(every_byte)
        )
        process.stdin.flush()
        before = b""
        while b"ready\n" not in before:
            before += os.read(process.stdout.fileno(), 4096)
        process.stdin.write(every_byte)
        process.stdin.close()
        came = process.stdout.read()
    assert process.returncode == 0
    assert came.startswith(b"<" + every_byte + b">" + expected)


def test_it_ends_well_when_nobody_reads_any_more(guest: Guest) -> None:
    attach = shlex.join(guest.command("console", "guest"))
    script = f"echo 'echo $((6 * 7))-read' | {attach} | grep -am1 ^42-read; echo ${{PIPESTATUS[*]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=guest.variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("42-read\n0 0 0\n", "")


def test_the_log_has_what_was_printed_and_is_private(guest: Guest) -> None:
    log = guest.home / "console.log"
    for number in (1, 2):
        done = guest.vmtui(
            *("console", "guest", "--log", str(log)),
            *("--until", rf"^{number}-logged\n", "--timeout", "30"),
            stdin=b"echo $((%d))-logged\n" % number,
        )
        assert done.returncode == 0, done.stderr
    assert re.findall(rb"\n(\d-logged)\r", log.read_bytes()) == [b"1-logged", b"2-logged"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_console_is_chosen_by_name(guest: Guest) -> None:
    assert guest.vmtui("console", "guest", "--list").stdout == b"serial0\nvirtio0\n"
    done = guest.vmtui(
        *("console", "guest", "virtio0", "--until", "guest login: $", "--timeout", "30"),
        stdin=b"\n",
    )
    assert done.returncode == 0, done.stderr
    done = guest.vmtui("console", "guest", "serial7")
    assert done.returncode == 1
    assert b"There is: serial0, virtio0." in done.stderr
    assert b"guest login:" in guest.vmtui("log", "guest", "virtio0").stdout


def test_who_is_taken_over_is_told_and_gets_the_terminal_back(guest: Guest) -> None:
    with attached(guest) as (terminal, before):
        busy = guest.vmtui("console", "guest")
        assert busy.returncode == 1
        assert b"--force" in busy.stderr
        watched = watching(guest)
        run(terminal, "echo $((6 * 7))-watched", "42-watched")
        assert watched.wait(30) == 0
        taken = guest.vmtui("console", "guest", "--force", "--timeout", "0.2")
        assert taken.returncode == 0, taken.stderr
        terminal.wait_for(r"vmtui: detached from guest: the console was taken over by")
        terminal.wait_for("ended: 1")
        assert terminal.settings() == before


def watching(guest: Guest) -> subprocess.Popen[bytes]:
    """A process that ends well once the console says 42-watched; it watches already."""
    process = subprocess.Popen(
        guest.command("--read-only", "console", "guest", "--watch", "--until", "^42-watched"),
        env=guest.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    log = str(guest.home / "vmtui" / "guest" / "console.log")
    until(lambda: log in [file.path for file in psutil.Process(process.pid).open_files()])
    return process


def test_in_the_background_of_a_shell_it_leaves_the_terminal_alone(guest: Guest) -> None:
    terminal = guest.terminal("bash", "--norc", "-i")
    try:
        terminal.wait_for(r"[$#]\s*\Z")
        before = terminal.settings()
        attach = shlex.join(guest.command("console", "guest"))
        terminal.type(f"{attach} > {guest.home}/background.log &")
        terminal.press("Enter")
        lock = guest.home / "vmtui" / "guest" / "console.lock"
        until(lambda: [str(p.pid) for p in terminal.program().children()] == [lock.read_text()])
        [job] = terminal.program().children()
        assert job.status() != psutil.STATUS_STOPPED
        assert terminal.settings() == before
        taken = guest.vmtui("console", "guest", "--force", "--timeout", "0.2")
        assert taken.returncode == 0, taken.stderr
        terminal.wait_for("vmtui: detached from guest: the console was taken over by")
    finally:
        terminal.close()


def until(happened: Callable[[], bool], limit_s: float = 20.0) -> None:
    """For what nothing tells of."""
    deadline_s = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(LOOK_INTERVAL_S)
