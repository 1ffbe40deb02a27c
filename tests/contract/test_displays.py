"""Screens, keyboards and pointers: what every backend that has them keeps."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.cases import BackendCase, made
from vmtui.backends.base import Backend, Feature
from vmtui.backends.ways_in import Displays
from vmtui.errors import (
    InputError,
    NoSuchVMError,
    RefusedError,
    StateError,
    UnsupportedError,
    VmtuiError,
)
from vmtui.model import Power, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.usefixtures("no_stalls")

NOBODY = VMId("00000000-0000-4000-8000-000000000000")


@pytest.fixture
def displays(backend: Backend) -> Displays:
    """The backend as one that shows screens: all of them do."""
    assert Feature.DISPLAY in backend.features
    assert isinstance(backend, Displays)
    return backend


def with_screen(name: str) -> VMSpec:
    """A VM with a screen, on which the firmware finds nothing to boot."""
    return VMSpec(name, boot=BLANK, memory_bytes=96 * MIB, disk_bytes=MIB)


async def test_a_screen_is_shown_and_takes_input(
    backend: Backend, displays: Displays, case: BackendCase, name: str
) -> None:
    vm = await made(backend, with_screen(name))
    assert (await backend.vm(vm)).displays == 1
    for attempt in (displays.picture(vm), displays.press(vm, ["a"])):
        with pytest.raises(StateError):
            await attempt
    await backend.power(vm, Power.START)
    pictures = await asyncio.gather(*(displays.picture(vm) for _ in range(3)))
    for picture in pictures:
        assert len(picture.rgb) == picture.width * picture.height * 3 > 0
    await displays.press(vm, ["ctrl", "alt", "delete"], hold_ms=1)
    for keys in ([], ["nothing"]):
        with pytest.raises(InputError):
            await displays.press(vm, keys)
    if Feature.POINTER in backend.features:
        await displays.point(vm, 0.25, 1.5, frozenset({"left", "wheel-up"}))
    else:
        with pytest.raises(UnsupportedError):
            await displays.point(vm, 0.5, 0.5, frozenset())
    if case.has_real_guest:
        await backend.power(vm, Power.PAUSE)
        await displays.picture(vm)
        with pytest.raises(StateError, match="takes no input"):
            await displays.press(vm, ["a"])


async def test_a_viewer_is_told_where_the_screen_is_served(
    backend: Backend, displays: Displays, case: BackendCase, name: str
) -> None:
    vm = await made(backend, with_screen(name))
    with pytest.raises((StateError, UnsupportedError)):
        await displays.viewer(vm)
    await backend.power(vm, Power.START)
    if not case.has_real_guest:
        with pytest.raises(UnsupportedError):
            await displays.viewer(vm)
        return
    viewer = await displays.viewer(vm)
    assert (viewer.protocol, viewer.ssh) == ("vnc", "")
    reader, writer = await asyncio.open_unix_connection(case.outside(viewer.socket))
    assert await reader.readexactly(4) == b"RFB "
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_there_shows_nothing(
    backend: Backend, displays: Displays, case: BackendCase, name: str
) -> None:
    for attempt in (displays.picture(NOBODY), displays.press(NOBODY, ["a"])):
        with pytest.raises(NoSuchVMError):
            await attempt
    if case.has_real_guest:
        vm = await made(backend, case.spec(name))
        await backend.power(vm, Power.START)
        assert (await backend.vm(vm)).displays == 0
        questions = (displays.picture(vm), displays.press(vm, ["a"]), displays.viewer(vm))
        for question in questions:
            with pytest.raises(UnsupportedError, match="has no screen"):
                await question


async def test_a_read_only_connection_takes_no_input(
    backend: Backend, case: BackendCase, name: str
) -> None:
    vm = await made(backend, with_screen(name))
    await backend.power(vm, Power.START)
    other = case.connect(True)
    await other.open()
    try:
        assert isinstance(other, Displays)
        if not case.shares_vms:
            vm = (await other.vms())[0].id
        with pytest.raises(RefusedError):
            await other.press(vm, ["a"])
        if Feature.DISPLAY in other.features and case.shares_vms:
            await other.picture(vm)
    finally:
        await other.close()


async def test_a_closed_connection_shows_nothing(backend: Backend, displays: Displays) -> None:
    await backend.close()
    with pytest.raises(VmtuiError):
        await displays.picture(NOBODY)
