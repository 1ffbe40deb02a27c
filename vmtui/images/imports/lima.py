"""Lima's definition of a VM: YAML, of which only plain data is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from vmtui.errors import InputError
from vmtui.images.imports.foreign import Foreign, ForeignDisk, firmware
from vmtui.parts import DiskBus
from vmtui.units import parse_size_bytes

INSTANCE_DISK = "diffdisk"
"""What Lima calls the disk of an instance, beside its `lima.yaml`."""

_MISREAD = (ValueError, RecursionError, IndexError, KeyError, AttributeError)
"""What PyYAML lets through of values that are not of the type that they say, such as `!!int ""`."""

_LOST = {
    "mounts": "shared folder",
    "portForwards": "forwarded port",
    "provision": "script for the first start",
    "probes": "probe",
    "additionalDisks": "additional disk",
    "networks": "network",
    "copyToHost": "file copied to the host",
}


def read(text: str, whose: str, *, arch: str, has_disk: bool) -> Foreign:
    """The VM that `text` defines; `has_disk`: an instance, with its disk beside the definition.

    Raises InputError naming `whose`, also if its disk is not on this machine.
    """
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, *_MISREAD) as error:
        raise InputError(f"{whose} can't be read", why=str(error)) from error
    if not isinstance(said, dict) or not (has_disk or _list(said, "images")):
        raise InputError(f"{whose} is no definition of Lima's", why="it names no images")
    legacy = isinstance(said.get("firmware"), dict) and said["firmware"].get("legacyBIOS") is True
    cpus = said.get("cpus")
    user = said.get("user")
    return Foreign(
        origin="Lima",
        vcpus=cpus if type(cpus) is int and cpus > 0 else None,
        memory_bytes=_size_bytes(said.get("memory")),
        firmware=firmware(efi=not legacy, secure_boot=False),
        system="linux",
        description=_text(said.get("message")).strip(),
        user=_text(user.get("name")) if isinstance(user, dict) else "",
        disks=(
            ForeignDisk(INSTANCE_DISK if has_disk else _file(said, arch, whose), DiskBus.VIRTIO),
        ),
        lost=tuple(_lost(said)),
    )


def _list(said: Mapping[str, Any], key: str) -> list[Any]:
    value = said.get(key)
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    # Never str() of it: a list that is made of itself many times over has no end as a text.
    return value if isinstance(value, str) else ""


def _file(said: Mapping[str, Any], arch: str, whose: str) -> str:
    """The image for `arch`, if it is a file of this machine."""
    images = [image for image in _list(said, "images") if isinstance(image, dict)]
    fitting = [image for image in images if image.get("arch", arch) == arch]
    if not fitting:
        raise InputError(f"{whose} can't be imported", why=f"it names no image for {arch}")
    location = _text(fitting[0].get("location"))
    if "://" in location:
        raise InputError(
            f"{whose} can't be imported as it is",
            why=f"its image is at {location}",
            hint="Download that, and import the file.",
        )
    return location


def _size_bytes(value: object) -> int | None:
    try:
        return parse_size_bytes(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _lost(said: Mapping[str, Any]) -> Iterator[str]:
    for key, what in _LOST.items():
        for item in _list(said, key):
            name = item.get("location") or item.get("name") if isinstance(item, dict) else item
            yield f"{what} {str(name)!r}" if isinstance(name, str) and name else what
