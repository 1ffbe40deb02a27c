"""Memory that the host can't read: which kinds this machine offers, and why not the others.

Told as facts: the direct backend starts no such guests.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def notes(root: Path = Path("/")) -> tuple[str, ...]:
    """A line each for SEV, SEV-SNP and TDX. Blocks, for a moment."""
    vendor, flags = _cpu(root)
    return (
        f"SEV: {_sev(root, vendor, flags, 'sev')}",
        f"SEV-SNP: {_sev(root, vendor, flags, 'sev_snp')}",
        f"TDX: {_tdx(root, vendor)}",
    )


def _sev(root: Path, vendor: str, flags: frozenset[str], kind: str) -> str:
    if vendor != "AuthenticAMD":
        return "absent, it takes a CPU of AMD"
    if kind not in flags:
        return "absent, this CPU does not have it, or the firmware of the machine has it off"
    parameter = root / f"sys/module/kvm_amd/parameters/{kind}"
    if _read(parameter) not in ("Y", "1"):
        return f"absent, KVM has it off ({parameter.name}=1 of kvm_amd switches it on)"
    if not (root / "dev/sev").exists():
        return "absent, the kernel has no /dev/sev (its driver is ccp)"
    return "offered by this machine"


def _tdx(root: Path, vendor: str) -> str:
    if vendor != "GenuineIntel":
        return "absent, it takes a CPU of Intel"
    if _read(root / "sys/module/kvm_intel/parameters/tdx") not in ("Y", "1"):
        return "absent, KVM has it off (tdx=1 of kvm_intel), or the CPU or the kernel lacks it"
    return "offered by this machine"


def _cpu(root: Path) -> tuple[str, frozenset[str]]:
    """The CPU's vendor and what it can."""
    found: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            break  # the others are alike
        found[key.strip()] = value.strip()
    return found.get("vendor_id", ""), frozenset(found.get("flags", "").split())


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace").strip()
    return ""
