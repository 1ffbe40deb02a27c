"""The command line as a script sees it: what it prints, where, and with which exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import _SubParsersAction
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from typing import BinaryIO

import pytest

from vmtui.actions import ACTIONS
from vmtui.commands import PLACES, command
from vmtui.parser import build_parser


@dataclass
class Done:
    status: int
    out: str
    err: str


Vmtui = Callable[..., Done]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "VMTUI_ACCEL": "tcg",
    }


@pytest.fixture
def vmtui(environment: dict[str, str]) -> Vmtui:
    def run(*arguments: str, stdin: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "vmtui", *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def test_list_as_json_has_the_promised_keys(vmtui: Vmtui) -> None:
    done = vmtui("--demo", "list", "--json")
    assert done.status == 0
    vms = json.loads(done.out)
    assert len(vms) == 12
    for vm in vms:
        assert {"name", "connection", "state", "vcpus", "memory_bytes", "accel"} <= vm.keys()
    web = next(vm for vm in vms if vm["name"] == "web-01")
    assert (web["state"], web["vcpus"], web["memory_bytes"]) == ("running", 4, 4 * 1024**3)


def test_show_as_json_is_one_object(vmtui: Vmtui) -> None:
    done = vmtui("show", "--demo", "web-01", "--json")
    assert json.loads(done.out)["name"] == "web-01"


def test_options_stand_before_or_behind_the_command(vmtui: Vmtui) -> None:
    before = vmtui("-c", "demo:?vms=2", "list")
    behind = vmtui("list", "-c", "demo:?vms=2")
    assert before == behind
    assert before.out.count("\n") == 3
    both = vmtui("-c", "demo:?vms=1", "list", "--names", "-c", "demo:?vms=1&host=lab")
    assert both.out.splitlines() == ["demo:?vms=1/web-01", "demo:?vms=1&host=lab/web-01"]


def test_several_connections_at_once(vmtui: Vmtui) -> None:
    done = vmtui("-c", "demo:?vms=2", "-c", "demo:?vms=1&host=lab", "list", "--json")
    assert [vm["connection"] for vm in json.loads(done.out)] == [
        "demo:?vms=2",
        "demo:?vms=2",
        "demo:?vms=1&host=lab",
    ]


def test_names_alone_are_printed_as_they_can_be_typed(vmtui: Vmtui) -> None:
    done = vmtui("-c", "demo:?vms=2", "-c", "demo:?vms=1&host=lab", "list", "--names")
    assert done.out.splitlines() == ["demo:?vms=2/web-01", "win11", "demo:?vms=1&host=lab/web-01"]
    images = vmtui("--demo", "images", "list", "--names").out.splitlines()
    assert "debian-12" in images
    assert " ".join(images).split() == images


@pytest.mark.parametrize("option", ["--names", ""])
def test_a_name_can_not_steer_the_terminal(vmtui: Vmtui, tmp_path: Path, option: str) -> None:
    folder = tmp_path / "data" / "vmtui" / "vms" / "a\x1b[2Jb"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "vm.toml").touch(0o600)
    done = vmtui("-c", "kvm:", "list", *filter(None, [option]))
    assert "a" in done.out
    assert "b" in done.out
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--demo", "show", "nothing"), 3, "there is no VM named 'nothing'"),
        (("--demo", "start", "web-01"), 1, "it is running"),
        (("--demo", "stop", "web-01"), 4, "add --yes"),
        (("--demo", "delete", "web-01"), 4, "/vms/web-01/disk.qcow2"),
        (("--demo", "--read-only", "start", "old-db"), 4, "read-only"),
        (("--demo", "console", "old-db"), 1, "it is off"),
        (("--demo", "console", "web-01", "nothing"), 1, "has no console 'nothing'"),
        (("--demo", "console", "web-01", "--escape", "x"), 2, "--escape x can't be used"),
        (("--demo", "console", "web-01", "--until", "("), 2, "no regular expression"),
        (("--demo", "console", "web-01", "--json"), 2, "--json needs --list"),
        (("--demo", "console", "web-01", "--log", "/no/such/folder/x"), 1, "can't be written"),
        (("--demo", "console", "web-01", "--log", "/dev/null"), 1, "it is not a file"),
        (("flop",), 2, "invalid choice"),
        (("list", "--flop"), 2, "unrecognized"),
        (("--demo", "create", "x", "--memory", "12"), 1, "no unit"),
        (("--demo", "create", "x", "--memory", "9999T"), 1, "16 TiB of memory is the limit"),
        (("--demo", "create", "x", "--memory", "-1"), 1, "not a size"),
        (("--demo", "create", "x", "--cpus", "0"), 1, "at least 1 vCPU"),
        (("--demo", "create", "x", "--cpus", "two"), 2, "invalid int"),
        (("--demo", "create", "[red]x"), 1, "'['"),
        (("--demo", "create", "a;b"), 1, "';'"),
        (("--demo", "create", "WEB-01"), 1, "only in case"),
        (("--demo", "create", "x", "--image", "/nothing.iso"), 1, "there is no image"),
        (("--demo", "create", "x", "--wait"), 2, "--wait needs --start"),
        (("-c", "nonsense uri", "list"), 1, "is not a connection"),
        (("-c", "demo:?vms=lots", "list"), 1, "has to be a number"),
        ((), 2, "needs a terminal"),
        (("--replay", "x"), 2, "needs a terminal"),
        (("--replay", "x", "list"), 2, "there is no command with it"),
        (("--record", "x", "list"), 2, "list can't record"),
        (("--demo", "top", "--record", "/no/such/folder/x"), 1, "can't be recorded to"),
        (("--demo", "exporter", "--listen", "127.0.0.1:65536"), 2, "ports end at 65535"),
    ],
)
def test_each_failure_has_its_status_and_one_clear_error(
    vmtui: Vmtui, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = vmtui(*arguments)
    assert (done.status, done.out) == (status, "")
    assert told in done.err
    assert done.err.startswith("vmtui: ")


def test_a_name_with_escapes_is_not_obeyed(vmtui: Vmtui) -> None:
    done = vmtui("--demo", "show", "a\x1b[31mb")
    assert done.status == 3
    assert "\x1b" not in done.err


def test_lifecycle_on_several_tells_a_line_for_each(vmtui: Vmtui) -> None:
    done = vmtui("--demo", "start", "old-db", "web-01", "scratch")
    assert done.out == "old-db is running\nscratch is running\n"
    assert done.err.startswith("vmtui: can't start web-01")
    assert done.status == 1


def test_shutdown_waits_until_it_is_off(vmtui: Vmtui) -> None:
    assert vmtui("--demo", "shutdown", "web-01") == Done(0, "web-01 is off\n", "")


def test_every_verb_of_the_table_is_a_command(vmtui: Vmtui) -> None:
    help_text = vmtui("--help").out
    for action in ACTIONS:
        if action.command:
            assert action.command in help_text


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(vmtui: Vmtui, shell: str) -> None:
    done = vmtui("completion", shell)
    assert done.status == 0
    for word in ("shutdown", "exporter", "--replay", "--interval"):
        assert word in done.out


def test_config(vmtui: Vmtui, environment: dict[str, str]) -> None:
    path = Path(vmtui("config", "path").out.strip())
    assert path == Path(environment["XDG_CONFIG_HOME"]) / "vmtui" / "config.toml"
    assert 'theme = "vmtui-dark"' in vmtui("config", "show").out
    assert vmtui("config", "check").status == 0
    path.parent.mkdir(parents=True)
    path.write_text("intervall_s = 2\n")
    done = vmtui("config", "check")
    assert done.status == 1
    assert f"{path}: intervall_s: there is no such setting" in done.err
    path.write_text('[keys]\nexplode = "x"\n')
    assert "keys.explode: there is no such action" in vmtui("config", "check").err


def test_a_closed_pipe_is_no_error_message(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "vmtui", "-c", "demo:?vms=5000", "list"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_commands_do_not_import_textual() -> None:
    code = (
        "import sys; from vmtui.cli import main; main(['--demo', 'list']);"
        "from vmtui import attach, doctor, commands; from vmtui.backends.kvm import backend;"
        "sys.exit(any(name.startswith('textual') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_without_libvirt_python_a_uri_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'libvirt' else real(name, *a);"
        "from vmtui.cli import main; import sys; sys.exit(main(['-c', 'qemu:///system', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "libvirt-python is not installed" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_that_can_be_typed_does_something() -> None:
    (commands,) = (a for a in build_parser()._actions if isinstance(a, _SubParsersAction))
    assert set(commands.choices or ()) == set(PLACES)
    assert all(iscoroutinefunction(command(name)) for name in PLACES)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_can_not_be_printed_is_told(environment: dict[str, str], unbuffered: str) -> None:
    for path, told in (("/dev/full", "No space left"), ("", "")):
        out = Path(path).open("wb") if path else _nobody_reads()  # noqa: SIM115
        with out:
            done = subprocess.run(
                [sys.executable, "-m", "vmtui", "--demo", "list"],
                env={**environment, "PYTHONUNBUFFERED": unbuffered},
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 1
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == bool(told)


def _nobody_reads() -> BinaryIO:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")


def test_who_types_a_text_can_change_their_mind(environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "vmtui", "--demo", "type", "web-01", "-"]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE) as typing:
        catches = f"/proc/{typing.pid}/status"
        deadline_s = time.monotonic() + 60
        while not _handles(catches, signal.SIGTERM) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        typing.send_signal(signal.SIGTERM)
        assert typing.wait(30) == 128 + signal.SIGTERM


def _handles(status: str, number: signal.Signals) -> bool:
    line = next(x for x in Path(status).read_text().splitlines() if x.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_pulled_images_as_json(vmtui: Vmtui) -> None:
    done = vmtui("--demo", "images", "pull", "debian-12", "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == [{"name": "debian-12", "here_before": True, "checked": ""}]


def test_words_that_never_come_are_an_error(vmtui: Vmtui) -> None:
    done = vmtui("--demo", "console", "web-01", "--until", "never", "--timeout", "1")
    assert (done.status, done.err) == (1, "vmtui: web-01 did not print 'never' within 1 s\n")


def test_a_balance_that_can_not_begin_fails(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "vmtui", "--demo", "balance"],
        env={**environment, "XDG_STATE_HOME": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "can't be written" in done.stderr


def test_devices_of_what_is_not_connected_are_not_none(vmtui: Vmtui) -> None:
    for command_ in ("devices", "cores", "trash"):
        done = vmtui("-c", "test:///no/such/file", command_)
        assert done.status == 1
        assert "There is no device" not in done.out
        assert "The trash is empty" not in done.out
        assert "vmtui: " in done.err
        assert "no connection can tell" not in done.err
