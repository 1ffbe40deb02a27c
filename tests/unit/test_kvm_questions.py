"""What QEMU answers, as it was seen, becomes counters; what it leaves out stays unknown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmtui.backends.kvm import gauge, questions
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.questions import Answers
from vmtui.counters import GUEST_PERIOD_S
from vmtui.errors import OperationError
from vmtui.model import Disk, DiskKind

NOTHING = {"stat-total-memory": 2**64 - 1, "stat-available-memory": 2**64 - 1}
SOMETHING = {"stat-total-memory": 227700736, "stat-available-memory": 202469376}

CPUS = [{"cpu-index": 1, "thread-id": 72}, {"cpu-index": 0, "thread-id": 71}]

KVM_SCHEMAS = [
    {
        "provider": "kvm",
        "target": "vcpu",
        "stats": [
            {"name": "halt_exits", "exponent": 0, "type": "cumulative"},
            {"name": "exits", "exponent": 0, "type": "cumulative"},
            {"name": "guest_mode", "unit": "boolean", "exponent": 0, "type": "instant"},
            {"name": "tlb_flush", "exponent": 0, "type": "cumulative"},
            {"name": "halt_poll_fail_ns", "base": 10, "exponent": -9, "type": "cumulative"},
            {"name": "halt_poll_success_ns", "base": 10, "exponent": -9, "type": "cumulative"},
        ],
    },
    {"provider": "kvm", "target": "vm", "stats": [{"name": "x_exits", "type": "cumulative"}]},
]
KVM_STATS = [
    {
        "provider": "kvm",
        "qom-path": f"/machine/unattached/device[{vcpu}]",
        "stats": [
            {"name": "halt_exits", "value": 10 * vcpu},
            {"name": "exits", "value": 100 * vcpu},
            {"name": "halt_poll_success_ns", "value": 7},
            {"name": "halt_poll_fail_ns", "value": 5},
        ],
    }
    for vcpu in (1, 2)
]


class Answering(Monitor):
    """A monitor that gives the answers of a table, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, dict[str, object] | None]] = []

    @property
    def periods_asked(self) -> list[dict[str, object]]:
        """The questions for how often the guest reports its memory."""
        of_period = "guest-stats-polling-interval"
        return [
            arguments
            for command, arguments in self.asked
            if command == "qom-get" and arguments and arguments["property"] == of_period
        ]

    async def execute(self, command: str, arguments: dict[str, object] | None = None) -> Any:
        self.asked.append((command, arguments))
        key = command
        if command == "qom-get" and arguments:
            key += f" {arguments['property']}"
        if key not in self.answers:
            raise OperationError(f"QEMU refused {key}")
        return self.answers[key]


def monitor(period_s: int = 5, updated_at_s: int = 1, stats: Any = None, **more: Any) -> Answering:
    return Answering(
        {
            "query-cpus-fast": CPUS,
            "query-balloon": {"actual": 268435456},
            "qom-get guest-stats-polling-interval": period_s,
            "qom-get guest-stats": {"stats": stats or SOMETHING, "last-update": updated_at_s},
            "qom-set": {},
        }
        | {name.replace("_", "-"): answer for name, answer in more.items()}
    )


async def test_threads_are_in_the_order_of_the_vcpus() -> None:
    answers = await questions.thorough(monitor(), Answers(), kvm=False, may_arm=True)
    assert answers.threads == (71, 72)
    assert answers.actual_bytes == 268435456


async def test_the_guest_is_told_to_report_its_memory_once() -> None:
    asked = monitor(period_s=0)
    await questions.thorough(asked, Answers(), kvm=False, may_arm=True)
    (set_,) = [arguments for command, arguments in asked.asked if command == "qom-set"]
    assert set_ is not None
    assert set_["value"] == GUEST_PERIOD_S
    again = monitor(period_s=3)
    answers = await questions.thorough(again, Answers(), kvm=False, may_arm=True)
    assert "qom-set" not in [command for command, _ in again.asked]
    assert answers.guest is not None
    assert answers.guest.period_s == 3, "a period that somebody chose stays"


async def test_the_period_is_asked_again_once_the_guest_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    asked = monitor(period_s=5, updated_at_s=999_996)
    answers = await questions.thorough(asked, Answers(), kvm=False, may_arm=True)
    answers = await questions.thorough(asked, answers, kvm=False, may_arm=True)
    assert len(asked.periods_asked) == 1, "it reported four seconds ago"
    assert answers.guest is not None
    assert answers.guest.period_s == 5
    monkeypatch.setattr(time, "time", lambda: 1_000_010.0)
    asked.answers["qom-get guest-stats-polling-interval"] = 0  # by somebody else
    await questions.thorough(asked, answers, kvm=False, may_arm=True)
    assert len(asked.periods_asked) == 2
    assert asked.asked[-2][0] == "qom-set"


async def test_read_only_asks_the_guest_for_nothing() -> None:
    asked = monitor(period_s=0)
    answers = await questions.thorough(asked, Answers(), kvm=False, may_arm=False)
    assert "qom-set" not in [command for command, _ in asked.asked]
    assert answers.guest is None
    assert "read-only" in answers.why_no_guest


async def test_a_guest_without_a_driver_has_said_nothing() -> None:
    silent = monitor(updated_at_s=0, stats=NOTHING)
    answers = await questions.thorough(silent, Answers(), kvm=False, may_arm=True)
    assert answers.guest is None
    assert "balloon driver" in answers.why_no_guest


async def test_what_the_guest_does_not_support_is_unknown() -> None:
    answers = await questions.thorough(
        monitor(stats=SOMETHING | {"stat-disk-caches": 2**64 - 1}),
        Answers(),
        kvm=False,
        may_arm=True,
    )
    assert answers.guest is not None
    assert answers.guest.total_bytes == 227700736
    assert answers.guest.caches_bytes is None
    assert answers.guest.swap_in_bytes is None


async def test_kvm_counts_exits_by_kind_and_its_busy_waiting() -> None:
    asked = monitor(query_stats_schemas=KVM_SCHEMAS, query_stats=KVM_STATS)
    answers = await questions.thorough(asked, Answers(), kvm=True, may_arm=True)
    assert answers.exits == {"halt": 30, "all": 300}
    assert answers.halt_poll_ns == 24
    await questions.thorough(asked, answers, kvm=True, may_arm=True)
    commands = [command for command, _ in asked.asked]
    assert commands.count("query-stats-schemas") == 1, "what there is stays the same"


async def test_a_qemu_before_7_1_counts_no_exits() -> None:
    answers = await questions.thorough(monitor(), Answers(), kvm=True, may_arm=True)
    assert answers.exits is None
    assert answers.halt_poll_ns is None


async def test_an_emulated_vm_is_not_asked_for_what_kvm_counts() -> None:
    asked = monitor(query_stats_schemas=KVM_SCHEMAS, query_stats=KVM_STATS)
    await questions.thorough(asked, Answers(), kvm=False, may_arm=True)
    assert not [command for command, _ in asked.asked if command.startswith("query-stats")]


async def test_disks_are_found_by_their_node_and_measured_on_the_host(tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    image.write_bytes(b"x" * 8192)
    numbers = {
        f"{kind}_{what}": count
        for count, (kind, what) in enumerate(
            (k, w) for k in ("rd", "wr") for w in ("operations", "bytes", "total_time_ns")
        )
    }
    stats = numbers | {"flush_operations": 8, "flush_total_time_ns": 9}
    blocks = [
        {"node-name": "firmware-code", "stats": stats},
        {
            "node-name": "disk0",
            "stats": stats,
            "parent": {"stats": {"wr_highest_offset": 12288}},
        },
    ]
    disk = Disk("vda", DiskKind.DISK, str(image), "qcow2", 1 << 20)
    asked = Answering({"query-blockstats": blocks})
    (found,) = (await questions.quick(asked, Answers(), {"disk0": disk})).disks
    assert (found.target, found.reads, found.read_bytes, found.read_ns) == ("vda", 0, 1, 2)
    assert (found.writes, found.write_bytes, found.write_ns) == (3, 4, 5)
    assert (found.flushes, found.flush_ns) == (8, 9)
    assert found.capacity_bytes == 1 << 20
    assert found.allocation_bytes == 12288
    assert found.physical_bytes == image.stat().st_blocks * 512


def test_what_the_host_sends_into_a_tap_its_guest_receives() -> None:
    received, sent = [1, 2, 3, 4, 0, 0, 0, 0], [5, 6, 7, 8, 0, 0, 0, 0]
    nic = gauge._mirrored(1.0, "tap0", received + sent)
    assert (nic.tx_bytes, nic.tx_packets, nic.tx_errors, nic.tx_drops) == (1, 2, 3, 4)
    assert (nic.rx_bytes, nic.rx_packets, nic.rx_errors, nic.rx_drops) == (5, 6, 7, 8)
