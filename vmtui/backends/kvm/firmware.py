"""Which UEFI firmware this machine has, from QEMU's own catalogue of descriptors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from vmtui.backends.kvm.argv import FirmwareFiles
from vmtui.errors import MissingError, OperationError
from vmtui.files import write_whole
from vmtui.model import Firmware

VARIABLES = "efivars.fd"


@dataclass(frozen=True, slots=True)
class Build:
    """One firmware of the catalogue: its code, and the variables that a VM begins with."""

    descriptor: Path
    code: Path
    code_format: str
    template: Path
    template_format: str
    features: frozenset[str]

    @property
    def enrolled(self) -> bool:
        """Whether the template has keys, without which Secure Boot enforces nothing."""
        return "enrolled-keys" in self.features


def descriptor_folders() -> list[Path]:
    """Where descriptors are, later folders shadowing earlier ones (docs/interop/firmware.json)."""
    return [
        Path("/usr/share/qemu/firmware"),
        Path("/etc/qemu/firmware"),
        platformdirs.user_config_path("qemu") / "firmware",
    ]


def builds(folders: list[Path]) -> Iterator[Build]:
    """Those for this machine type, in the order of their names; an empty file masks its name."""
    files: dict[str, Path] = {}
    for folder in folders:
        files.update((path.name, path) for path in sorted(folder.glob("*.json")))
    for _, path in sorted(files.items()):
        try:
            content = json.loads(path.read_text("utf-8"))
            build = _build(path, content) if _is_for_q35(content) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if build is not None:
            yield build


def _is_for_q35(content: dict[str, Any]) -> bool:
    return "uefi" in content["interface-types"] and any(
        target["architecture"] == "x86_64"
        and any(machine.startswith("pc-q35") for machine in target["machines"])
        for target in content["targets"]
    )


def _build(path: Path, content: dict[str, Any]) -> Build | None:
    mapping = content["mapping"]
    if mapping["device"] != "flash" or mapping.get("mode", "split") != "split":
        return None
    code, template = mapping["executable"], mapping["nvram-template"]
    return Build(
        path,
        Path(code["filename"]),
        code.get("format", "raw"),
        Path(template["filename"]),
        template.get("format", "raw"),
        frozenset(content.get("features", ())),
    )


def choose(wanted: Firmware, *, keys: bool = True, folders: list[Path] | None = None) -> Build:
    """The first that fits; `keys` is about Secure Boot only. Raises MissingError."""
    for build in builds(folders or descriptor_folders()):
        if _fits(build, wanted, keys) and build.code.exists():
            return build
    without = " without enrolled keys" if wanted is Firmware.SECURE_BOOT and not keys else ""
    raise MissingError(
        f"no firmware for {wanted.value}{without} is installed",
        why="no descriptor of QEMU's firmware catalogue fits",
        hint="Install ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch).",
    )


def _fits(build: Build, wanted: Firmware, keys: bool) -> bool:
    secure = {"secure-boot", "requires-smm"}
    if wanted is Firmware.SECURE_BOOT:
        return secure <= build.features and build.enrolled is keys
    return not build.features & {*secure, "enrolled-keys"}


def files(wanted: Firmware, folder: Path, *, keys: bool = True) -> FirmwareFiles | None:
    """The firmware for a VM in `folder`; None for BIOS. Raises MissingError."""
    if wanted is Firmware.BIOS:
        return None
    build = choose(wanted, keys=keys)
    return FirmwareFiles(build.code, build.code_format, folder / VARIABLES, build.template_format)


def prepare(wanted: Firmware, folder: Path, *, keys: bool = True) -> None:
    """Copy the variables that a VM begins with into its folder, once."""
    variables = folder / VARIABLES
    if wanted is not Firmware.BIOS and not variables.exists():
        write_whole(variables, template(choose(wanted, keys=keys)))


def template(build: Build) -> bytes:
    """The variables that a VM begins with."""
    try:
        return build.template.read_bytes()
    except OSError as error:
        raise OperationError(f"{build.template} can't be read", why=error.strerror or "") from error
