"""Which UEFI firmware this machine has, from QEMU's own catalogue of descriptors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs

from vmtui.backends.kvm.argv import FirmwareFiles
from vmtui.errors import MissingError
from vmtui.files import not_writable
from vmtui.model import Firmware

VARIABLES = "efivars.fd"


def descriptor_folders() -> list[Path]:
    """Where descriptors are, later folders shadowing earlier ones (docs/interop/firmware.json)."""
    return [
        Path("/usr/share/qemu/firmware"),
        Path("/etc/qemu/firmware"),
        platformdirs.user_config_path("qemu") / "firmware",
    ]


def descriptors(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """All readable descriptors in the order of their names; an empty file masks its name."""
    files: dict[str, Path] = {}
    for folder in folders:
        files.update((path.name, path) for path in sorted(folder.glob("*.json")))
    for _, path in sorted(files.items()):
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            yield content


def choose(wanted: Firmware, folders: list[Path] | None = None) -> dict[str, Any]:
    """The `mapping` of the first descriptor that fits q35. Raises MissingError."""
    for content in descriptors(folders or descriptor_folders()):
        if _fits(content, wanted):
            mapping = content["mapping"]
            if Path(mapping["executable"]["filename"]).exists():
                return dict(mapping)
    raise MissingError(
        f"no firmware for {wanted.value} is installed",
        why="no descriptor of QEMU's firmware catalogue fits",
        hint="Install ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch).",
    )


def _fits(content: dict[str, Any], wanted: Firmware) -> bool:
    features = set(content.get("features", ()))
    mapping = content.get("mapping", {})
    return (
        "uefi" in content.get("interface-types", ())
        and isinstance(mapping, dict)
        and mapping.get("device") == "flash"
        and mapping.get("mode", "split") == "split"
        and "nvram-template" in mapping
        and any(_is_q35(target) for target in content.get("targets", ()))
        and (
            # Secure Boot without enrolled keys enforces nothing.
            {"secure-boot", "enrolled-keys", "requires-smm"} <= features
            if wanted is Firmware.SECURE_BOOT
            else not features & {"secure-boot", "enrolled-keys", "requires-smm"}
        )
    )


def _is_q35(target: dict[str, Any]) -> bool:
    return target.get("architecture") == "x86_64" and any(
        machine.startswith("pc-q35") for machine in target.get("machines", ())
    )


def files(wanted: Firmware, folder: Path) -> FirmwareFiles | None:
    """The firmware for a VM in `folder`; None for BIOS. Raises MissingError."""
    if wanted is Firmware.BIOS:
        return None
    mapping = choose(wanted)
    return FirmwareFiles(
        Path(mapping["executable"]["filename"]),
        mapping["executable"].get("format", "raw"),
        folder / VARIABLES,
        mapping["nvram-template"].get("format", "raw"),
    )


def prepare(wanted: Firmware, folder: Path) -> None:
    """Copy the variables that a VM begins with into its folder, once."""
    variables = folder / VARIABLES
    if wanted is Firmware.BIOS or variables.exists():
        return
    temporary = variables.with_suffix(".new")
    try:
        shutil.copyfile(choose(wanted)["nvram-template"]["filename"], temporary)
        temporary.chmod(0o600)
        temporary.rename(variables)
    except OSError as error:
        raise not_writable(folder, error) from error
