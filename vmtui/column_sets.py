"""The columns that a table of VMs can have, by id, and the five sets that they come in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

OTHERS: Mapping[str, str] = {
    "name": "The name of the VM.",
    "state": "What the VM is doing, or what is being done to it. A stalled VM did not answer in "
    "time: its figures are the last known, and this says how old they are.",
    "history": "CPU % of the last minutes, two dots to a cell, 5 s to a dot; blank where nothing "
    "was measured.",
    "memory_use": "Memory in use inside the guest, of what it has: its own MemTotal less its "
    "MemAvailable, and the balloon's actual size. Without word from the guest only the latter.",
    "disk": "Read and write requests per second, over all disks.",
    "net": "Bytes per second that the guest received and sent, over all cards.",
    "vcpus": "Virtual CPUs that the VM has now.",
    "uptime": "How long the VM's process has been running on the host; a reboot of the guest "
    "does not end it.",
    "address": "The first address of the guest that the host or the guest's agent knows.",
    "accel": "What runs the guest's instructions: KVM on the CPU itself; TCG emulates them, "
    "many times slower.",
    "connection": "The connection that the VM belongs to.",
    "flags": "TPM: it has a TPM. SB: its firmware enforces Secure Boot.",
}
"""What is no figure of its own, and what it means."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "history": ("cpu",),
    "memory_use": ("guest_used", "memory_actual"),
    "disk": ("read_iops", "write_iops"),
    "net": ("rx_bytes", "tx_bytes"),
}
"""The figures that some of them show, as they stand there."""


def known() -> frozenset[str]:
    """Every column that there is."""
    from vmtui.figures import BY_ID  # noqa: PLC0415 (listing has to be quick)

    return frozenset(OTHERS) | BY_ID.keys()


class ColumnSet(StrEnum):
    """The value is the word that is shown, and the key in the configuration."""

    SUMMARY = "summary"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    NETWORK = "network"

    @property
    def label(self) -> str:
        """How it is written among others."""
        return "CPU" if self is ColumnSet.CPU else self.value


DEFAULTS: Mapping[ColumnSet, tuple[str, ...]] = {
    ColumnSet.SUMMARY: (
        "name", "state", "cpu", "history", "ready", "memory_use", "balloon", "disk", "latency",
        "net", "vcpus", "uptime", "address", "accel", "connection", "flags",
    ),
    ColumnSet.CPU: (
        "name", "state", "cpu", "cpu_core", "cpu_host", "cpu_user", "cpu_system", "ready",
        "ready_max", "steal", "halt_poll", "exits", "vcpus", "accel", "connection",
    ),
    ColumnSet.MEMORY: (
        "name", "state", "memory", "memory_target", "memory_actual", "guest_total", "guest_used",
        "guest_available", "guest_swap_in", "guest_swap_out", "guest_faults", "rss", "swapped",
        "merged", "connection",
    ),
    ColumnSet.DISK: (
        "name", "state", "read_iops", "write_iops", "read_bytes", "write_bytes", "read_latency",
        "write_latency", "flush_latency", "flush_iops", "in_flight", "capacity", "allocation",
        "physical", "connection",
    ),
    ColumnSet.NETWORK: (
        "name", "state", "rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "errors", "drops",
        "address", "connection",
    ),
}  # fmt: skip
"""In the order in which they stand. Where room is short, the later ones of equal rank go first."""
