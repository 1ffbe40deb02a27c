"""A TPM as its guest has it: measured into by the firmware, and what was sealed in it stays."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guest import tools
from tests.truth.changing import changed
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from vmtui.backends.abilities import Tpms
from vmtui.backends.base import no_progress
from vmtui.hardware.changes import Assign
from vmtui.model import Firmware, Power
from vmtui.spec import VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

SECRET = "not for anybody else"
INDEX = "0x1500016"
"""What is there is in the clear for the guest, and in the state for who can read that."""

PRIMARY = "tpm2_createprimary -Q -G ecc -c primary.ctx"
SEAL = (
    f"cd /tmp && {PRIMARY} && printf '{SECRET}' |"
    " tpm2_create -Q -C primary.ctx -i - -u sealed.pub -r sealed.priv &&"
    f" tar -c sealed.pub sealed.priv | dd of=/dev/vda bs=1M seek={tools.SPARE_MIB} conv=fsync"
    " 2>/dev/null"
)
UNSEAL = (
    f"cd /tmp && dd if=/dev/vda bs=1M skip={tools.SPARE_MIB} 2>/dev/null | tar -x &&"
    f" {PRIMARY} && tpm2_load -Q -C primary.ctx -u sealed.pub -r sealed.priv -c sealed.ctx &&"
    " tpm2_unseal -c sealed.ctx && echo"
)
STORE = (
    f"tpm2_nvdefine -Q -C o -s {len(SECRET)} {INDEX} &&"
    f" printf '{SECRET}' | tpm2_nvwrite -C o -i - {INDEX}"
)
READ = f"tpm2_nvread -C o -s {len(SECRET)} {INDEX} && echo"

NO_EVENT = {"0" * 64, "f" * 64}
"""What a PCR is that nobody has extended."""


async def test_what_was_sealed_can_be_unsealed_whatever_became_of_the_vm(
    rig: Rig, tmp_path: Path
) -> None:
    backend = rig.backend
    assert isinstance(backend, Tpms)
    spec = VMSpec("sealed", firmware=Firmware.UEFI, disk_bytes=tools.DISK_BYTES)
    vm = await backend.create(spec, no_progress)
    await changed(backend, vm, Assign("tpm", "crb"), Assign("tpm.encrypted", True))
    [disk] = (await backend.vm(vm)).disks
    assert disk.source is not None
    tools.write(disk.source, tmp_path)

    await backend.power(vm, Power.START)
    async with GuestShell.of(backend, vm) as shell:
        await shell.run(f"test -c /dev/tpm0 && {tools.UNPACK}")
        assert "TPM2_PT_FAMILY_INDICATOR" in await shell.run("tpm2_getcap properties-fixed")
        [value] = re.findall(r"0 *: 0x(\w{64})", await shell.run("tpm2_pcrread sha256:0"))
        assert value.lower() not in NO_EVENT
        await shell.run(SEAL)
        await shell.run(STORE)
        assert await shell.run(READ) == SECRET
    await backend.power(vm, Power.STOP)
    facts = await backend.tpm(vm)
    assert facts.encrypted
    assert facts.state is not None
    nobody_reads(facts.state, tmp_path / "stolen")

    backup = tmp_path / "backup"
    await backend.back_up_tpm(vm, backup)
    await changed(backend, vm, Assign("description", "edited"), Assign("memory", 320 * MIB))
    await changed(backend, vm, Assign("name", "unsealed"))
    await backend.clear_tpm(vm)
    await backend.restore_tpm(vm, backup)

    await backend.power(vm, Power.START)
    async with GuestShell.of(backend, vm) as shell:
        await shell.run(tools.UNPACK)
        assert await shell.run(UNSEAL) == SECRET
        assert await shell.run(READ) == SECRET


def nobody_reads(state: Path, copy: Path) -> None:
    """Who has the state and not its key has nothing."""
    shutil.copytree(state, copy)
    files = [path for path in copy.rglob("*") if path.is_file() and path.suffix == ".permall"]
    assert files
    assert all(SECRET.encode() not in path.read_bytes() for path in files)
    [folder] = {path.parent for path in files}
    serving = ("--flags", "startup-clear", "--server", f"type=unixio,path={folder}/socket")
    begun = subprocess.run(
        ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", *serving],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert begun.returncode != 0, begun.stdout
