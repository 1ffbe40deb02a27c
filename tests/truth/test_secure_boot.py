"""Secure Boot: what is signed starts and knows of it, what is not starts only without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.guest import efi
from tests.truth.changing import changed
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from vmtui.backends.abilities import FirmwareVariables
from vmtui.backends.base import Backend, no_progress
from vmtui.backends.ways_in import Consoles
from vmtui.hardware.changes import Assign, Attach
from vmtui.hardware.devices import NewDisk
from vmtui.model import Firmware, Power, VMId
from vmtui.spec import Boot, BootKind, VMSpec
from vmtui.units import MIB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(efi.missing()), reason=efi.missing() or "none"),
]

LIMIT_S = 120.0


@pytest.fixture(scope="session")
def signed() -> Path:
    """Made before a test's clock runs."""
    return efi.signed()


async def test_only_what_is_signed_starts_while_secure_boot_is_on(
    rig: Rig, signed: Path, tmp_path: Path
) -> None:
    backend = rig.backend
    assert isinstance(backend, FirmwareVariables)
    unsigned = efi.unsigned(tmp_path)
    boot = Boot(BootKind.DISK, unsigned, "raw", unsigned.stat().st_size)
    spec = VMSpec("signed", boot, memory_bytes=512 * MIB, firmware=Firmware.SECURE_BOOT)
    vm = await backend.create(spec, no_progress)
    await changed(backend, vm, Attach(NewDisk(path=signed, read_only=True)))

    await backend.power(vm, Power.START)
    await prints(backend, vm, efi.REFUSED)
    async with GuestShell.of(backend, vm) as shell:
        assert await shell.run(efi.TELL) == "1"
    await backend.power(vm, Power.STOP)

    await changed(backend, vm, Assign("firmware", "uefi"))
    if backend.uri != "kvm:":  # libvirt keeps the variables, and the keys in them with those
        await backend.reset_variables(vm)
    await backend.power(vm, Power.START)
    await prints(backend, vm, efi.UNSIGNED_SAYS)


async def prints(backend: Backend, vm: VMId, text: str) -> None:
    """Wait until the guest has."""
    assert isinstance(backend, Consoles)
    seen = b""
    async with asyncio.timeout(LIMIT_S):
        async for data in backend.console_output(vm):
            seen += data
            if text.encode() in seen:
                return
    raise AssertionError(f"no {text!r} in {seen!r}")
