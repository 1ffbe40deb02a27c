"""UEFI variables with the real templates of this machine's firmware."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm import disks, firmware, variables
from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.command import run
from vmtui.errors import InputError, OperationError, RefusedError, UnsupportedError
from vmtui.model import Firmware
from vmtui.spec import BootKind

SECURE = Definition(
    version=VERSION,
    uuid="u-1",
    vcpus=1,
    memory="256M",
    boot=BootKind.NONE,
    firmware=Firmware.SECURE_BOOT,
)
WITHOUT_KEYS = msgspec.structs.replace(SECURE, firmware_keys=False)
BIOS = msgspec.structs.replace(SECURE, firmware=Firmware.BIOS)


async def test_facts_tell_files_and_whether_keys_are_enrolled(tmp_path: Path) -> None:
    before = await variables.facts(SECURE, tmp_path)
    assert (before.variables, before.size_bytes, before.enrolled_keys) == (None, None, True)
    for definition, keys in ((SECURE, True), (WITHOUT_KEYS, False)):
        await variables.reset("web", definition, tmp_path)
        told = await variables.facts(definition, tmp_path)
        assert told.secure_boot
        assert told.enrolled_keys is keys
        assert told.code is not None
        assert told.code.exists()
        assert told.descriptor.endswith(".json")
        assert told.variables == tmp_path / firmware.VARIABLES
        assert told.size_bytes == told.variables.stat().st_size


async def test_keys_are_told_by_what_is_there_not_by_where_it_began(tmp_path: Path) -> None:
    await variables.reset("web", SECURE, tmp_path)
    told = await variables.facts(WITHOUT_KEYS, tmp_path)
    assert told.enrolled_keys is True


def test_what_is_no_store_of_variables_tells_nothing_of_keys() -> None:
    whole = firmware.template(firmware.choose(Firmware.SECURE_BOOT))
    assert variables.enrolled(b"") is None
    assert variables.enrolled(b"\0" * len(whole)) is None
    for cut in range(0, 400, 7):  # whatever is cut off raises nothing
        assert variables.enrolled(whole[:cut]) in (None, False, True)


async def test_own_variables_are_taken_if_they_fit(tmp_path: Path) -> None:
    own = firmware.template(firmware.choose(Firmware.SECURE_BOOT))
    mine = tmp_path / "mine.fd"
    mine.write_bytes(own)
    await variables.reset("web", WITHOUT_KEYS, tmp_path, mine)
    assert (tmp_path / firmware.VARIABLES).read_bytes() == own
    assert (tmp_path / firmware.VARIABLES).stat().st_mode & 0o177 == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "has 0 bytes"),
        (b"\0" * 1000, "has 1000 bytes"),
        (None, "not a store of UEFI variables"),
    ],
)
async def test_other_files_are_refused_and_replace_nothing(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    await variables.reset("web", SECURE, tmp_path)
    before = (tmp_path / firmware.VARIABLES).read_bytes()
    (tmp_path / "mine.fd").write_bytes(b"x" * len(before) if content is None else content)
    with pytest.raises(InputError) as refused:
        await variables.reset("web", SECURE, tmp_path, tmp_path / "mine.fd")
    assert why in refused.value.why
    assert (tmp_path / firmware.VARIABLES).read_bytes() == before
    with pytest.raises(InputError, match="can't be the variables"):
        await variables.reset("web", SECURE, tmp_path, tmp_path / "gone" / "mine.fd")


async def test_a_backup_is_a_private_copy_and_replaces_no_file(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="can't be read"):
        await variables.back_up(SECURE, tmp_path, tmp_path / "copy.fd")
    await variables.reset("web", SECURE, tmp_path)
    await variables.back_up(SECURE, tmp_path, tmp_path / "copy.fd")
    assert (tmp_path / "copy.fd").read_bytes() == (tmp_path / firmware.VARIABLES).read_bytes()
    assert (tmp_path / "copy.fd").stat().st_mode & 0o177 == 0
    with pytest.raises(InputError, match="exists already"):
        await variables.back_up(SECURE, tmp_path, tmp_path / "copy.fd")


async def test_a_bios_has_none(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        await variables.facts(BIOS, tmp_path)
    with pytest.raises(UnsupportedError):
        await variables.reset("web", BIOS, tmp_path)
    with pytest.raises(UnsupportedError):
        await variables.back_up(BIOS, tmp_path, tmp_path / "copy.fd")


async def test_an_installed_vm_keeps_its_kind_of_firmware(tmp_path: Path) -> None:
    await disks.blank(tmp_path / "disk.qcow2", 1 << 20)
    disk = DiskDefinition("disk.qcow2", "qcow2")
    bios = msgspec.structs.replace(BIOS, disk=(disk,))
    uefi = msgspec.structs.replace(SECURE, disk=(disk,))
    await variables.refuse_conversion("web", bios, tmp_path, Firmware.UEFI)  # nothing on it yet
    await run(
        *("qemu-io", "-f", "qcow2", "-c", "write 0 512", str(tmp_path / "disk.qcow2")),
        timeout_s=30,
    )
    for definition, wanted in ((bios, Firmware.UEFI), (uefi, Firmware.BIOS)):
        with pytest.raises(RefusedError) as refused:
            await variables.refuse_conversion("web", definition, tmp_path, wanted)
        assert "disk.qcow2 is not blank" in refused.value.why
    await variables.refuse_conversion("web", uefi, tmp_path, Firmware.UEFI)
    gone = msgspec.structs.replace(bios, disk=(DiskDefinition("gone.qcow2", "qcow2"),))
    with pytest.raises(RefusedError):
        await variables.refuse_conversion("web", gone, tmp_path, Firmware.UEFI)
