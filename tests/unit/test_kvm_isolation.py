"""What keeps a direct VM's guest from all else, as it is told of VMs that do not run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm import isolation
from vmtui.backends.kvm.configuring.planning import situation
from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.hardware import HostDeviceDefinition, NicDefinition, ShareDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.store import Store
from vmtui.errors import UnsupportedError
from vmtui.hardware.around import Barrier, Mark
from vmtui.hardware.changes import Assign, Change, Detach
from vmtui.ksm import KsmState
from vmtui.spec import BootKind

PLAIN = Definition(version=VERSION, uuid="u-1", vcpus=1, memory="256M", boot=BootKind.NONE)


@pytest.fixture(autouse=True)
def ksm_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.ksm.read", lambda: KsmState(True, 0, 0))


def told(root: Path, pid: int | None = None, **keys: object) -> dict[str, Barrier]:
    store = Store(root / "vms", root / "run")
    for folder in (store.root, store.runtime_root, store.folder("web")):
        folder.mkdir(mode=0o700, exist_ok=True)
    definition = msgspec.structs.replace(PLAIN, **keys)
    asyncio.run(store.write(store.folder("web"), definition))
    machine = Machine(store, "web")
    machine.reload()
    found = isolation.barriers(situation(machine), machine.place, pid)
    return {barrier.topic: barrier for barrier in found}


def test_a_vm_with_nothing_is_isolated(tmp_path: Path) -> None:
    found = told(tmp_path, merge=False, throwaway=True)
    weak = {topic for topic, barrier in found.items() if barrier.mark is not Mark.GOOD}
    assert weak <= {"process user", "security label"}  # those are of this machine
    assert [change for barrier in found.values() for change in barrier.changes] == []


def test_each_way_out_is_marked_and_has_its_change(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        nic=(NicDefinition("52:54:00:00:00:01"), NicDefinition("52:54:00:00:00:02", link=False)),
        share=(ShareDefinition("/a", "one"), ShareDefinition("/b", "two", read_only=True)),
        host_device=(HostDeviceDefinition("usb", "0951:1666", "Stick"),),
        tpm=True,
    )
    assert {topic: barrier.mark for topic, barrier in found.items()} | {
        "process user": Mark.GOOD,
        "security label": Mark.GOOD,
    } == {
        "process user": Mark.GOOD,
        "system calls": Mark.GOOD,
        "security label": Mark.GOOD,
        "network": Mark.OPEN,
        "shared folders": Mark.WEAK,
        "passthrough": Mark.WEAK,
        "page sharing": Mark.WEAK,
        "graphics": Mark.GOOD,
        "consoles": Mark.GOOD,
        "TPM": Mark.OPEN,
        "leftovers": Mark.OPEN,
    }
    changes: list[Change] = [change for barrier in found.values() for change in barrier.changes]
    assert changes == [
        Assign("nic.net0.link", value=False),
        Detach("share.one"),
        Detach("share.two"),
        Assign("memory.merge", value=False),
    ]
    assert found["shared folders"].value == "/a, /b (read-only)"


@pytest.mark.parametrize(
    ("nic", "mark"),
    [
        (NicDefinition("52:54:00:00:00:01", network="isolated"), Mark.GOOD),
        (NicDefinition("52:54:00:00:00:01", network="bridge", bridge="br0"), Mark.WEAK),
        (NicDefinition("52:54:00:00:00:01", network="bridge", bridge="b", link=False), Mark.GOOD),
    ],
)
def test_a_network_is_as_open_as_where_it_leads(
    tmp_path: Path, nic: NicDefinition, mark: Mark
) -> None:
    assert told(tmp_path, nic=(nic,))["network"].mark is mark


def test_page_sharing_is_weaker_while_the_kernel_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(tmp_path)["page sharing"].mark is Mark.WEAK
    assert told(tmp_path, merge=False)["page sharing"].mark is Mark.GOOD
    monkeypatch.setattr("vmtui.ksm.read", lambda: KsmState(False, 0, 0))
    assert told(tmp_path)["page sharing"].mark is Mark.OPEN

    def none() -> KsmState:
        raise UnsupportedError("this kernel has no KSM")

    monkeypatch.setattr("vmtui.ksm.read", none)
    assert told(tmp_path)["page sharing"].mark is Mark.GOOD


def test_sockets_that_others_can_reach_are_weak(tmp_path: Path) -> None:
    told(tmp_path)
    (tmp_path / "run").chmod(0o755)
    assert told(tmp_path)["consoles"].mark is Mark.WEAK


def test_what_runs_is_told_as_the_kernel_has_it(tmp_path: Path) -> None:
    found = told(tmp_path, pid=os.getpid())  # no QEMU: nothing filters its system calls
    status = Path("/proc/self/status").read_text("utf-8")
    filtered = "Seccomp:\t2" in status
    assert found["system calls"].mark is (Mark.GOOD if filtered else Mark.WEAK)
    assert (found["process user"].mark is Mark.WEAK) is (os.getuid() == 0)
    assert told(tmp_path, tpm=True, tpm_key="tpm.key")["TPM"].mark is Mark.GOOD
