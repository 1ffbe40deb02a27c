"""Who is in the demo fleet: each VM as it is at first, and how busy it pretends to be."""

from __future__ import annotations

import uuid
from dataclasses import replace

from vmtui.backends.demo_load import Load
from vmtui.model import VM, Accel, Disk, DiskKind, Firmware, Nic, State, VMId
from vmtui.units import GIB, MIB

_NAMESPACE = uuid.UUID("6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1")

# name, state, vCPUs, memory in MiB, TPM, firmware, what it does
CAST = (
    ("web-01", State.RUNNING, 4, 4096, False, Firmware.BIOS,
     Load(0.61, 0.004, 40, 80, 0.0008, 3.1e6, 12e6, balloon_bytes=GIB)),
    ("win11", State.RUNNING, 4, 8192, True, Firmware.SECURE_BOOT,
     Load(0.08, 0.001, 12, 4, 0.0021, 2e3, 1e3, used=0.7)),
    ("ci-runner", State.RUNNING, 4, 4096, False, Firmware.UEFI,
     Load(2.4, 0.16, 310, 450, 0.0052, 0.4e6, 0.1e6, used=0.8)),
    ("postgres", State.RUNNING, 2, 8192, False, Firmware.UEFI,
     Load(0.42, 0.011, 820, 1400, 0.0006, 0.9e6, 2.2e6, used=0.6)),
    ("pihole", State.RUNNING, 1, 512, False, Firmware.BIOS,
     Load(0.01, 0.0005, 0.2, 1.5, 0.0009, 9e3, 11e3, used=0.3)),
    ("k3s-a", State.RUNNING, 4, 6144, False, Firmware.UEFI,
     Load(0.9, 0.02, 22, 160, 0.031, 0.2e6, 0.25e6, used=0.55)),
    ("build", State.PAUSED, 8, 16384, False, Firmware.BIOS, Load(0.0, 0.0, 0, 0)),
    ("old-db", State.OFF, 2, 4096, False, Firmware.BIOS, Load(0.02)),
    ("scratch", State.OFF, 1, 1024, False, Firmware.BIOS, Load(0.02)),
    ("router", State.RUNNING, 2, 1024, False, Firmware.BIOS,
     Load(0.15, 0.002, 0.1, 0.8, 0.0007, 14e6, 14e6, used=0.2)),
    ("mail", State.SAVED, 2, 2048, False, Firmware.BIOS, Load(0.02)),
    ("legacy-xp", State.CRASHED, 1, 1024, False, Firmware.BIOS, Load(0.02)),
)  # fmt: skip


def member(index: int, host_name: str, unix_s: float) -> tuple[VM, Load]:
    """A VM of that host and its load; beyond the cast its names come again, with a number."""
    name, state, vcpus, memory_mib, tpm, firmware, load = CAST[index % len(CAST)]
    if index >= len(CAST):
        name = f"{name}-{index // len(CAST):03}"
    vm_id = VMId(str(uuid.uuid5(_NAMESPACE, f"{host_name}/{name}")))
    vm = VM(
        id=vm_id,
        name=name,
        state=state,
        vcpus=vcpus,
        memory_bytes=memory_mib * MIB,
        accel=Accel.KVM,
        firmware=firmware,
        tpm=tpm,
        started_at_s=unix_s - 3600 * (1 + index % 50) if state.active else None,
        addresses=(f"192.168.122.{10 + index % 200}",) if state is State.RUNNING else (),
        disks=(
            Disk("vda", DiskKind.DISK, f"/vms/{name}/disk.qcow2", "qcow2", 20 * GIB),
            Disk("sda", DiskKind.CDROM, None, read_only=True),
        ),
        nics=(Nic(f"52:54:00:00:{index >> 8 & 255:02x}:{index & 255:02x}", "network default"),),
        image="debian-12",
        consoles=("serial0", "virtio0") if name == "router" else ("serial0",),
        displays=1,
        description="A VM of the demo fleet: it exists in memory only.",
    )
    return vm, replace(load, phase=uuid.UUID(vm_id).int % 628 / 100)
