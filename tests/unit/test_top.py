"""`vmtui top`: what it prints, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.counters import Counters, Stalled
from vmtui.errors import UnreachableError, UsageError
from vmtui.figures import BY_ID
from vmtui.fleet import Fleet
from vmtui.host_figures import HOST_BY_ID
from vmtui.model import VM, EventKind, State, VMId
from vmtui.samples import Csv, as_json, as_table, fitted, padded, width
from vmtui.top import Order, rounds
from vmtui.views import Breach, FleetView, VMView

Top = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}


def command(*arguments: str, uri: str = "demo:?vms=12") -> list[str]:
    return [sys.executable, "-m", "vmtui", "-c", uri, "top", "--interval", "0.2", *arguments]


@pytest.fixture
def top(environment: dict[str, str]) -> Top:
    def run(*arguments: str, uri: str = "demo:?vms=12") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments, uri=uri),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


# -- as a script sees it -----------------------------------------------------------------------


def test_one_sample_has_rates_and_every_figure(top: Top) -> None:
    done = top("--json", "--count", "1")
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    sample = json.loads(line)
    assert sample["time"].endswith("Z")
    assert sample["interval_s"] > 0
    [host] = sample["hosts"]
    assert host["connection"] == "demo:?vms=12"
    assert host.keys() >= HOST_BY_ID.keys()
    vms = {vm["name"]: vm for vm in sample["vms"]}
    assert len(vms) == 12
    for vm in vms.values():
        assert vm.keys() >= {*BY_ID, "connection", "state", "vcpus", "stalled", "alarms"}
    assert vms["web-01"]["cpu"] > 0
    assert [disk["target"] for disk in vms["web-01"]["disks"]] == ["vda"]
    assert len(vms["web-01"]["nics"]) == 1
    assert vms["old-db"]["cpu"] is None  # it is off: not 0


def test_each_sample_is_a_line_and_rows_are_sorted(top: Top) -> None:
    done = top("--json", "--count", "3", "--sort=-memory")
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(samples) == 3
    assert len({sample["time"] for sample in samples}) == 3
    known = [vm["memory"] for vm in samples[0]["vms"] if vm["memory"] is not None]
    assert known == sorted(known)
    assert samples[0]["vms"][-1]["memory"] is None


def test_csv_has_one_header_and_a_row_a_vm_and_sample(top: Top) -> None:
    done = top("--csv", "--count", "2", "--vm", "web-01", "--vm", "build")
    rows = list(csv.DictReader(StringIO(done.stdout)))
    assert [row["name"] for row in rows] == ["web-01", "build"] * 2
    assert float(rows[0]["cpu"]) > 0
    assert rows[1]["cpu"] == ""


def test_tables_in_a_pipe_are_apart(top: Top) -> None:
    done = top("--count", "2", "--sort", "name")
    first, second = done.stdout.split("\n\n")
    for table in (first, second):
        lines = table.splitlines()
        assert lines[1].split()[:2] == ["NAME", "STATE"]
        assert [line.split()[0] for line in lines[2:4]] == ["build", "ci-runner"]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--vm", "nothing"), 3, "there is no VM named 'nothing'"),
        (("--sort", "nonsense"), 2, "there is no such figure"),
        (("--count", "0"), 2, "at least 1"),
        (("--interval", "0"), 2, "from 0.2 to 3600 s"),
        (("--json", "--csv"), 2, "not allowed with"),
    ],
)
def test_what_cannot_be_done_is_told(
    top: Top, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = top("--count", "1", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr


def test_a_closed_pipe_ends_it_silently_at_once(environment: dict[str, str]) -> None:
    slow = command("--json")
    slow[slow.index("0.2")] = "3600"  # nothing would be written for an hour
    for arguments in (command(), slow):
        with subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            if arguments is not slow:
                process.stdout.readline()
            process.stdout.close()
            assert process.wait(timeout=30) == 0
            assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(environment: dict[str, str], number: int) -> None:
    with subprocess.Popen(
        command(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(timeout=30) == 128 + number
        assert process.stderr.read() == b""


def test_a_connection_that_is_down_is_told_once_and_the_rest_goes_on(
    environment: dict[str, str],
) -> None:
    arguments = command("--json", "--count", "3")
    arguments[3:3] = ["-c", "test:///no/such/file"]
    pytest.importorskip("libvirt")
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    hosts = json.loads(done.stdout.splitlines()[-1])["hosts"]
    assert {host["status"] for host in hosts} == {"up", "down"}
    assert done.stderr.count("vmtui: ") == 1


def test_top_imports_neither_textual_nor_prometheus() -> None:
    code = (
        "import sys; from vmtui.cli import main; main(['--demo', 'top', '--count', '1']);"
        "sys.exit(any(n.startswith(('textual', 'rich', 'prometheus')) for n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


# -- rounds ------------------------------------------------------------------------------------


class Down(DemoBackend):
    async def open(self) -> None:
        raise UnreachableError("it is not there")


class Hanging(DemoBackend):
    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        return {vm: Stalled("no answer for 3 s") for vm in vms}


class Mute(DemoBackend):
    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        return {}


class Late(DemoBackend):
    """Its first samples miss all VMs."""

    _missed = 0

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        self._missed += 1
        return {} if self._missed <= 2 else await super().counters(vms)


class Changing(DemoBackend):
    """Something happens, and is drawn, between the host's sample and those of the VMs."""

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        self._tell(EventKind.RESYNC, vms[0])
        for _ in range(20):  # steps of the loop, until whoever waits for a view has seen it
            await asyncio.sleep(0)
        return await super().counters(vms)


def fleet_of(*backends: DemoBackend) -> Fleet:
    return Fleet([Endpoint(backend, backend.uri) for backend in backends], interval_s=0.2)


async def taken(fleet: Fleet, count: int) -> list[FleetView]:
    views: list[FleetView] = []
    fleet.supervise()
    stream: AsyncIterator[FleetView] = rounds(fleet)
    try:
        async for view in stream:
            views.append(view)
            if len(views) == count:
                break
    finally:
        await fleet.close()
    return views


async def test_a_round_is_of_all_connections_and_has_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vmtui.top.LATE_INTERVALS", 100)  # on a busy machine none is late
    views = await taken(fleet_of(DemoBackend("demo:?vms=2"), DemoBackend("demo:?host=b")), 3)
    for view in views:
        assert all(c.host_rates and c.host_rates.interval_s > 0 for c in view.connections)
        assert all(r.rates for r in view.vms if r.vm.state is State.RUNNING)
    for place in (0, 1):
        times = [view.connections[place].host_counters for view in views]
        assert len({id(counters) for counters in times}) == 3


async def test_a_lost_connection_holds_up_nothing() -> None:
    views = await taken(fleet_of(DemoBackend("demo:?vms=2"), Down("demo:?host=b")), 2)
    assert len(views) == 2


async def test_without_any_connection_it_says_why() -> None:
    with pytest.raises(UnreachableError, match="it is not there"):
        await taken(fleet_of(Down("demo:?host=b")), 1)


async def test_the_first_round_waits_for_a_vm_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.top.LATE_INTERVALS", 100)
    [view] = await taken(fleet_of(Late("demo:?vms=2")), 1)
    assert all(row.rates for row in view.vms if row.vm.state.active)
    monkeypatch.setattr("vmtui.top.LATE_INTERVALS", 2)
    monkeypatch.setattr("vmtui.top.CONNECTING_LIMIT_S", 0)
    [view] = await taken(fleet_of(Mute("demo:?vms=2")), 1)
    assert not any(row.rates for row in view.vms)


async def test_what_changes_while_vms_are_sampled_makes_no_round() -> None:
    backend = Changing("demo:?vms=2")
    for view in await taken(fleet_of(backend), 3):
        [connection] = view.connections
        assert connection.host_counters is not None
        for row in view.vms:
            assert row.counters is None or row.counters.at_s >= connection.host_counters.at_s


async def test_stalled_vms_are_rows_with_a_reason() -> None:
    [view] = await taken(fleet_of(Hanging("demo:?vms=1")), 1)
    [vm] = json.loads(as_json(view, view.vms))["vms"]
    assert (vm["stalled"], vm["cpu"], vm["age_s"]) == ("no answer for 3 s", None, None)
    assert "stalled" in as_table(view, view.vms)[2]


# -- one sample --------------------------------------------------------------------------------


async def sampled(**changes: object) -> FleetView:
    """A view with one VM, changed."""
    [view] = await taken(fleet_of(DemoBackend("demo:?vms=1")), 1)
    [row] = view.vms
    vm: VM = replace(row.vm, **{k: v for k, v in changes.items() if k != "breaches"})  # type: ignore[arg-type]
    breaches = changes.get("breaches", ())
    row = replace(row, vm=vm, breaches=breaches)  # type: ignore[arg-type]
    [connection] = view.connections
    return replace(view, connections=(replace(connection, vms=(row,)),))


HOSTILE = 'x\x1b[31m\n"=1+2",\u202e'


async def test_names_from_outside_are_harmless() -> None:
    view = await sampled(name=HOSTILE)
    assert json.loads(as_json(view, view.vms))["vms"][0]["name"] == HOSTILE
    assert "\n" not in as_json(view, view.vms)
    out = StringIO()
    Csv(out).write(view, view.vms)
    assert len(out.getvalue().splitlines()) == 2
    for text in (out.getvalue(), "\n".join(as_table(view, view.vms))):
        assert "\x1b" not in text
        assert "\u202e" not in text


async def test_alarms_are_marked() -> None:
    breach = Breach("cpu", 200.0, 100.0, time.monotonic())
    view = await sampled(breaches=(breach,))
    assert json.loads(as_json(view, view.vms))["vms"][0]["alarms"] == ["cpu"]
    assert "!" in as_table(view, view.vms)[2]


def test_lines_fit_the_terminal() -> None:
    lines = ["a" * 30, "名前" * 10, *("row" for _ in range(20))]
    shown = fitted(lines, 11, 8)
    assert len(shown) == 8
    assert shown[:2] == ["a" * 10 + "…", "名前名前名" + "…"]
    assert shown[-1] == "… and 15 m" + "…"
    assert fitted(["x"] * 8, 10, 8) == ["x"] * 8
    assert all(width(line) <= 11 for line in shown)
    assert padded("名", 4) == "名  "
    assert padded("e\u0301", 3, right=True) == "  e\u0301"


def test_order_is_by_any_figure_or_word() -> None:
    assert Order.parse("cpu") == Order("cpu", turned=False)
    assert Order.parse("-name") == Order("name", turned=True)
    with pytest.raises(UsageError):
        Order.parse("vcpuz")
    rows: list[VMView] = []
    assert Order.parse("latency").sorted(rows) == []
