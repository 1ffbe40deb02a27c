"""The backends that figures are held against the truth on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.truth.rigs import Rig, direct, over_libvirt
from vmtui.images import micro


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests begin first: with one that begins last, the other worker has no work."""
    items.sort(key=lambda item: "debian_image" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def micro_image() -> None:
    """The micro image is built before a test's clock runs."""
    asyncio.run(micro.ensure())


@pytest.fixture(params=["kvm", "session"])
async def rig(request: pytest.FixtureRequest, micro_image: None) -> AsyncIterator[Rig]:
    """The direct backend, and libvirt."""
    if request.param == "kvm":
        async with direct() as made:
            yield made
    else:
        async with over_libvirt(request.getfixturevalue("libvirtd")) as made:
            yield made


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests report their memory more often than users need, so that less is waited for."""
    for module in ("kvm.questions", "libvirt.devices_xml"):
        monkeypatch.setattr(f"vmtui.backends.{module}.GUEST_PERIOD_S", 1)
