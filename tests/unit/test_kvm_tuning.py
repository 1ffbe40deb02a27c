"""What a VM gets of the host's CPUs: profiles, pins and control groups, on made-up hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends import host_cores
from vmtui.backends.kvm import cgroups, placing
from vmtui.backends.kvm.cgroups import Tree
from vmtui.backends.kvm.hardware import TuningDefinition
from vmtui.backends.kvm.tuning import Tuned, pins, tuned
from vmtui.errors import InputError, OperationError, UnsupportedError
from vmtui.hardware.cores import CoreMap, HostCpu, Placed, cpus_text, parse_cpus
from vmtui.model import VMId

# Two nodes of two cores with two threads each, numbered as Linux does: siblings are 4 apart.
HOST = CoreMap(tuple(HostCpu(n, node=n % 4 // 2, package=n % 4 // 2, core=n % 4) for n in range(8)))


def taken(*cpus: int) -> CoreMap:
    others = tuple(Placed(VMId("u"), "other", "vCPU 0", frozenset({cpu})) for cpu in cpus)
    return CoreMap(HOST.cpus, others)


@given(st.sets(st.integers(0, 300)))
def test_lists_of_cpus_are_read_as_they_are_written(cpus: set[int]) -> None:
    assert set(parse_cpus(cpus_text(cpus))) == cpus


@pytest.mark.parametrize("text", ["x", "1-", "-1", "3-1", "1,x", "0-99999", "1 2"])
def test_what_is_no_list_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CPU"):
        parse_cpus(text)


def test_pins_are_of_single_vcpus_or_all() -> None:
    assert pins("", 4) == {}
    assert pins("0=0-1 3=4", 4) == {0: (0, 1), 3: (4,)}
    assert pins("all=0-3 1=5", 3) == {0: (0, 1, 2, 3), 1: (5,), 2: (0, 1, 2, 3)}
    for text in ("0", "0=", "x=1", "4=1", "0=1-", "all"):
        with pytest.raises(ValueError, match=r"CPU"):
            pins(text, 4)


def test_profiles_are_words_for_weight_quota_and_pins() -> None:
    def what(profile: str) -> Tuned:
        return tuned(TuningDefinition(profile=profile), 2, HOST)  # type: ignore[arg-type]

    assert what("") == Tuned()
    assert not what("").shares
    assert not what("normal").shares
    assert (what("low").weight, what("low").quota_percent) == (25, 100)
    assert (what("high").weight, what("high").quota_percent) == (400, None)
    assert not what("dedicated").shares  # it has no one to share with
    assert what("dedicated").vcpus == {0: (0,), 1: (4,)}  # one core, both threads of it
    assert what("dedicated").emulator == (1, 2, 3, 5, 6, 7)


def test_what_is_said_goes_before_the_profile() -> None:
    said = TuningDefinition(
        profile="dedicated", weight=50, quota=150, period_us=10_000, pin="all=2-3", emulator="7"
    )
    found = tuned(said, 2, HOST)
    assert found == Tuned(50, 150, 10_000, {0: (2, 3), 1: (2, 3)}, (7,))


def test_dedicated_cpus_are_nobody_elses_and_of_one_node_if_they_fit() -> None:
    dedicated = TuningDefinition(profile="dedicated")
    assert set(tuned(dedicated, 4, HOST).vcpus.values()) == {(0,), (4,), (1,), (5,)}
    # Node 0 has three CPUs left: four vCPUs go to node 1 whole.
    assert set(tuned(dedicated, 4, taken(0)).vcpus.values()) == {(2,), (6,), (3,), (7,)}
    assert set(tuned(dedicated, 2, taken(0)).vcpus.values()) == {(4,), (1,)}
    with pytest.raises(ValueError, match="8 CPUs of its own and one for all else"):
        tuned(dedicated, 8, HOST)
    with pytest.raises(ValueError, match="3 of the host's 8 are free"):
        tuned(dedicated, 3, taken(0, 1, 2, 3, 4))


def test_cpus_that_the_host_does_not_have_are_refused() -> None:
    for definition in (TuningDefinition(pin="0=8"), TuningDefinition(emulator="0-9")):
        with pytest.raises(ValueError, match="this host has no CPU 8"):
            tuned(definition, 1, HOST)


def test_the_map_tells_who_is_pinned_to_a_cpu() -> None:
    everywhere = Placed(VMId("v"), "free", "vCPU 0", HOST.numbers)
    pinned = taken(3)
    mapped = CoreMap(HOST.cpus, (*pinned.placed, everywhere))
    assert mapped.pinned_to(3) == pinned.placed
    assert mapped.pinned_to(2) == ()
    assert mapped.nodes == (0, 1)


# -- made-up hosts ---------------------------------------------------------------------------


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_host_is_read_from_sysfs(tmp_path: Path) -> None:
    write(tmp_path, {"cpu/online": "0-1,4\n", "node/node0/cpulist": "0-1\n"})
    write(tmp_path, {"node/node1/cpulist": "4\n", "cpu/cpu4/topology/core_id": "2\n"})
    write(tmp_path, {"cpu/cpu4/topology/physical_package_id": "1\n"})
    write(tmp_path, {"cpu/cpu1/topology/core_id": "-1\n"})
    assert host_cores.read(tmp_path) == (HostCpu(0), HostCpu(1), HostCpu(4, 1, 1, 2))
    assert host_cores.read(tmp_path / "nothing") == ()


def test_this_host_has_cpus() -> None:
    assert host_cores.read()


MOUNTED = "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
CONTROLLERS = {"sys/fs/cgroup/cgroup.controllers": "cpu io\n"}


def test_why_there_are_no_shares_is_told(tmp_path: Path) -> None:
    assert cgroups.find(tmp_path) == "this host has no cgroup v2"
    write(tmp_path, {"proc/self/mountinfo": MOUNTED})
    assert "no cpu controller" in str(cgroups.find(tmp_path))
    write(tmp_path, CONTROLLERS)
    assert "in no group" in str(cgroups.find(tmp_path))
    write(tmp_path, {"proc/self/cgroup": "4:cpu:/x\n0::/mine/vmtui\n"})
    assert "does not share out the CPU" in str(cgroups.find(tmp_path))
    write(tmp_path, {"sys/fs/cgroup/mine/cgroup.subtree_control": "cpu\n"})
    mount = tmp_path / "sys/fs/cgroup"
    assert cgroups.find(tmp_path) == Tree(mount, mount / "mine")


def test_systemd_has_to_delegate_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"proc/self/mountinfo": MOUNTED, **CONTROLLERS, "run/systemd/system/x": ""})
    monkeypatch.setattr("os.getuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "busctl" in str(cgroups.find(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert "enable-linger" in str(cgroups.find(tmp_path))
    service = "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
    write(tmp_path, {f"{service}/cgroup.controllers": "memory pids\n"})
    assert "Delegate=cpu" in str(cgroups.find(tmp_path))
    write(tmp_path, {f"{service}/cgroup.controllers": "cpu memory\n"})
    assert cgroups.find(tmp_path) == Tree(tmp_path / "sys/fs/cgroup", user=True)


WANTED = Tuned(weight=25, quota_percent=150, period_us=50_000)


async def test_a_delegated_tree_gets_a_group_for_each_vm(tmp_path: Path) -> None:
    tree = Tree(tmp_path, tmp_path)
    await cgroups.give(tree, "u-1", 4711, Tuned())
    assert list(tmp_path.iterdir()) == []  # nothing is wanted of it
    (tmp_path / "vmtui-off").mkdir()  # of a VM that is off by now
    await cgroups.give(tree, "u-1", 4711, WANTED)
    group = tmp_path / "vmtui-u-1"
    assert [path.name for path in tmp_path.iterdir()] == [group.name]
    assert {path.name: path.read_text() for path in group.iterdir()} == {
        "cpu.weight": "25",
        "cpu.max": "75000 50000",
        "cgroup.procs": "4711",
    }
    await cgroups.give(tree, "u-1", 4711, Tuned())
    assert (group / "cpu.max").read_text() == "max 100000"
    with pytest.raises(OperationError, match="can't be set"):
        await cgroups.give(Tree(tmp_path, tmp_path / "gone"), "u-1", 4711, WANTED)


async def test_without_a_tree_only_a_wish_for_shares_is_refused() -> None:
    await cgroups.give("no tree", "u-1", 4711, Tuned(vcpus={0: (1,)}))
    with pytest.raises(UnsupportedError) as refused:
        await cgroups.give("no tree", "u-1", 4711, WANTED)
    assert refused.value.why == "no tree"


@pytest.mark.parametrize(
    ("group", "asked"),
    [
        ("/user.slice/session-1.scope", ["StartTransientUnit", "vmtui-u-1.scope"]),
        ("/user.slice/app.slice/vmtui-u-1.scope", ["SetUnitProperties", "vmtui-u-1.scope"]),
        ("/user.slice/app.slice/vmtui-web.service", ["SetUnitProperties", "vmtui-web.service"]),
    ],
)
async def test_what_systemd_runs_already_stays_in_its_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, asked: list[str]
) -> None:
    write(tmp_path, {"proc/7/cgroup": f"0::{group}\n"})
    commands: list[str] = []

    async def run(*argv: str, **_: object) -> None:
        commands.extend(argv)

    monkeypatch.setattr(cgroups, "run", run)
    await cgroups.give(Tree(tmp_path, user=True), "u-1", 7, WANTED, tmp_path)
    assert [word for word in commands if word in asked] == asked


def test_systemd_is_asked_for_a_scope() -> None:
    tree = Tree(Path("/sys/fs/cgroup"), user=True)
    words = " ".join(cgroups.started(tree, "vmtui-u-1.scope", 4711, WANTED))
    assert words == (
        "busctl --user call org.freedesktop.systemd1 /org/freedesktop/systemd1 "
        "org.freedesktop.systemd1.Manager StartTransientUnit ssa(sv)a(sa(sv)) "
        "vmtui-u-1.scope fail 4 PIDs au 1 4711 CPUWeight t 25 CPUQuotaPerSecUSec t 1500000 "
        "CPUQuotaPeriodUSec t 50000 0"
    )
    assert cgroups.changed(tree, "vmtui-u-1.scope", Tuned())[6:] == [
        *("SetUnitProperties", "sba(sv)", "vmtui-u-1.scope", "true", "3"),
        *("CPUWeight", "t", "100", "CPUQuotaPerSecUSec", "t", "18446744073709551615"),
        *("CPUQuotaPeriodUSec", "t", "100000"),
    ]


def test_what_this_host_can_not_give_is_refused_before_anything_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cgroups, "find", lambda: "no tree")
    placing.check("web", TuningDefinition(pin="all=0"), 2)
    with pytest.raises(InputError, match="can't have its CPUs"):
        placing.check("web", TuningDefinition(pin="0=0-"), 2)
    for wanted in (TuningDefinition(weight=50), TuningDefinition(profile="low")):
        with pytest.raises(UnsupportedError) as refused:
            placing.check("web", wanted, 2)
        assert refused.value.why == "no tree"
    monkeypatch.setattr(cgroups, "find", lambda: Tree(Path("/")))
    placing.check("web", TuningDefinition(profile="low"), 2)
