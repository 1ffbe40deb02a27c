"""A kernel of the library under real QEMU: made into a VM, started, and leaned on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.truth.desk import Desk
from tests.truth.rigs import Rig
from vmtui.backends.abilities import LeanOnImages
from vmtui.backends.base import no_progress
from vmtui.images import micro
from vmtui.images.imports import kernels
from vmtui.images.library import Library
from vmtui.images.resolve import resolve
from vmtui.model import Power
from vmtui.spec import VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow


@pytest.fixture
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """What the backends take for the user's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Library()


async def test_a_kernel_with_its_initrd_boots(own_library: Library, rig: Rig) -> None:
    image = await micro.ensure()
    found = kernels.look(image.kernel, image.initrd, f"{image.cmdline} vmtui.hostname=lab")
    await kernels.import_kernel(found, "lab-1", own_library)
    spec = VMSpec("truth-kernel", await resolve("lab-1", own_library), memory_bytes=160 * MIB)
    vm = await rig.backend.create(spec, no_progress)
    assert isinstance(rig.backend, LeanOnImages)
    assert await rig.backend.images_in_use() == {"lab-1": ("truth-kernel",)}
    await rig.backend.power(vm, Power.START)
    async with Desk.over(rig) as desk:
        await desk.shows(desk.open(vm), "lab login:")
