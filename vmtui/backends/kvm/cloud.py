"""The cloud-init seed of a direct VM, and what it was made from, to make another for a clone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from vmtui.backends.kvm.disks import SEED
from vmtui.files import write_whole
from vmtui.images.seed import seed
from vmtui.parts import CloudInit
from vmtui.whole import whole_in_thread

KEPT = "cloud-init.json"
"""Beside `vm.toml` and not in it: people show that to each other, and user-data can have secrets
in it."""


class _Kept(msgspec.Struct, frozen=True):
    image_user: str
    cloud: CloudInit


async def write(
    folder: Path, cloud: CloudInit, *, name: str, instance_id: str, image_user: str
) -> None:
    """Make the seed in a VM's folder, and keep what it is made from. Raises OperationError."""
    image = await asyncio.to_thread(
        seed, cloud, vm_name=name, instance_id=instance_id, image_user=image_user
    )
    kept = msgspec.json.encode(_Kept(image_user, cloud))
    await whole_in_thread(write_whole, folder / SEED, image)
    await whole_in_thread(write_whole, folder / KEPT, kept)


def read(folder: Path) -> tuple[CloudInit | None, str]:
    """What the seed in a VM's folder was made from, and whom its image makes by itself."""
    try:
        kept = msgspec.json.decode((folder / KEPT).read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None, ""
    return kept.cloud, kept.image_user
