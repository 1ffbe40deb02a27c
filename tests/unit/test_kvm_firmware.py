import json
from pathlib import Path
from typing import Any

import pytest

from vmtui.backends.kvm.firmware import choose, files, prepare
from vmtui.errors import MissingError
from vmtui.model import Firmware


def descriptor(
    folder: Path, name: str, *features: str, machine: str = "pc-q35-*"
) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    code = folder / f"{name}.code"
    code.touch()
    content = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(folder / f"{name}.vars"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": [machine]}],
        "features": list(features),
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    return content


SECURE = ("secure-boot", "enrolled-keys", "requires-smm")


def chosen(wanted: Firmware, *folders: Path) -> str:
    return choose(wanted, folders=list(folders)).code.stem


def test_each_kind_gets_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    descriptor(folder, "40-enrolled", *SECURE, "amd-sev")
    descriptor(folder, "50-secure", "secure-boot", "requires-smm")
    descriptor(folder, "60-plain", "amd-sev")
    assert chosen(Firmware.SECURE_BOOT, folder) == "40-enrolled"
    assert chosen(Firmware.UEFI, folder) == "60-plain"


def test_secure_boot_without_keys_enforces_nothing(tmp_path: Path) -> None:
    descriptor(tmp_path / "a", "50-secure", "secure-boot", "requires-smm")
    with pytest.raises(MissingError, match="secure-boot"):
        choose(Firmware.SECURE_BOOT, folders=[tmp_path / "a"])


def test_one_without_keys_is_taken_if_that_is_wanted(tmp_path: Path) -> None:
    descriptor(tmp_path / "a", "40-enrolled", *SECURE)
    descriptor(tmp_path / "a", "50-secure", "secure-boot", "requires-smm")
    assert choose(Firmware.SECURE_BOOT, keys=False, folders=[tmp_path / "a"]).code.stem == (
        "50-secure"
    )
    (tmp_path / "a" / "50-secure.code").unlink()
    with pytest.raises(MissingError, match="without enrolled keys"):
        choose(Firmware.SECURE_BOOT, keys=False, folders=[tmp_path / "a"])


def test_a_broken_descriptor_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    descriptor(folder, "60-plain")
    for number, text in enumerate(("", "[]", "{", '{"interface-types": 3}', "null")):
        (folder / f"1{number}-broken.json").write_text(text)
    assert chosen(Firmware.UEFI, folder) == "60-plain"


def test_a_later_folder_shadows_and_an_empty_file_masks(tmp_path: Path) -> None:
    descriptor(tmp_path / "a", "60-plain")
    descriptor(tmp_path / "a", "70-other")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "60-plain.json").touch()
    assert chosen(Firmware.UEFI, tmp_path / "a", tmp_path / "b") == "70-other"


def test_other_machines_and_missing_files_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    descriptor(folder, "10-pc", machine="pc-i440fx-*")
    descriptor(folder, "20-gone")
    (folder / "20-gone.code").unlink()
    descriptor(folder, "30-good")
    assert chosen(Firmware.UEFI, folder) == "30-good"


def test_this_machine_has_both() -> None:
    for wanted in (Firmware.UEFI, Firmware.SECURE_BOOT):
        assert choose(wanted).template.exists()


def test_variables_are_copied_once_and_private(tmp_path: Path) -> None:
    found = files(Firmware.SECURE_BOOT, tmp_path)
    assert found is not None
    assert not found.variables.exists()
    prepare(Firmware.SECURE_BOOT, tmp_path)
    assert found.variables.stat().st_mode & 0o077 == 0
    found.variables.write_bytes(b"the guest's own")
    prepare(Firmware.SECURE_BOOT, tmp_path)
    assert found.variables.read_bytes() == b"the guest's own"


def test_bios_needs_none(tmp_path: Path) -> None:
    prepare(Firmware.BIOS, tmp_path)
    assert files(Firmware.BIOS, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
