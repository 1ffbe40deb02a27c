"""The volumes of a VM that is being made: made, filled, and taken back if it fails."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

import libvirt

from vmtui.backends.base import Progress, ProgressSink, no_progress
from vmtui.backends.libvirt.bridge import CALL_TIMEOUT_S, Bridge
from vmtui.backends.libvirt.devices_xml import Medium
from vmtui.backends.libvirt.in_use import key_of, others_of
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import (
    POOL,
    capacity_bytes,
    find,
    length_bytes,
    pool,
    volume_xml,
)
from vmtui.errors import InputError, OperationError, VmtuiError
from vmtui.whole import whole

T = TypeVar("T")

CHUNK_BYTES = 4 * 1024 * 1024
PACKET_BYTES = 256 * 1024
REFRESH_TIMEOUT_S = 3600.0
"""A pool is not looked at while a volume of it is copied or sent, whoever does it."""
UPLOAD_TIMEOUT_S = 60.0
PARTIAL_TIMEOUT_S = 20.0
COPY_TIMEOUT_S = 6 * 3600.0


class Volumes:
    """Volumes made for one new VM, so that they can be taken back."""

    def __init__(self, bridge: Bridge, places: Places) -> None:
        self._bridge = bridge
        self._places = places
        self._made: list[str] = []

    async def refuse_left_over(self, names: Sequence[str]) -> None:
        """Raise InputError if one of them is there: what is not ours is never overwritten."""

        def look(connection: libvirt.virConnect) -> None:
            for name in names:
                if find(connection, self._places, name) is not None:
                    raise _left_over(connection, self._places, name)

        if names:
            await self._bridge.call("look at the storage pool", look)

    async def blank(self, name: str, size_bytes: int) -> str:
        """An empty qcow2 disk; its path."""
        return await self._make(name, volume_xml(name, size_bytes, "qcow2"))

    async def overlay(self, name: str, base: Medium, size_bytes: int | None) -> str:
        """A qcow2 disk that leans on `base`, as large as that if no size is given; its path."""
        return await self._make(name, volume_xml(name, size_bytes, "qcow2", base))

    async def content(self, name: str, data: bytes) -> str:
        """A volume of just that; its path."""
        return await self.upload(name, data, no_progress, name)

    async def copy(self, name: str, source: str, file_format: str) -> str:
        """A volume with the content of another one, leaning on nothing; its path."""

        def copy(connection: libvirt.virConnect) -> str:
            original = connection.storageVolLookupByPath(source)
            xml = volume_xml(name, capacity_bytes(original), file_format)
            return str(pool(connection, self._places).createXMLFrom(xml, original, 0).path())

        return await self._made_by(name, copy, COPY_TIMEOUT_S)

    async def _make(self, name: str, xml: str) -> str:
        def make(connection: libvirt.virConnect) -> str:
            return str(pool(connection, self._places).createXML(xml, 0).path())

        return await self._made_by(name, make, CALL_TIMEOUT_S)

    async def _made_by(
        self, name: str, make: Callable[[libvirt.virConnect], str], timeout_s: float
    ) -> str:
        def unless_there(connection: libvirt.virConnect) -> str:
            if find(connection, self._places, name) is not None:
                raise _left_over(connection, self._places, name)
            try:
                return make(connection)
            except libvirt.libvirtError as error:
                if "exist" in str(error):  # a file that the pool had not noticed
                    raise _left_over(connection, self._places, name) from error
                raise

        path = await whole(
            self._bridge.call(f"make the disk {name}", unless_there, timeout_s=timeout_s),
            lambda: self._note(name),
        )
        self._note(name)
        return path

    def _note(self, name: str) -> None:
        if name not in self._made:
            self._made.append(name)

    async def upload(
        self,
        name: str,
        source: Path | bytes,
        progress: ProgressSink,
        label: str,
        stage: str = "disk",
    ) -> str:
        """A volume with the content of a local file, or with just that; its path."""
        # Made empty, it grows with what is sent: a half-sent one is known by its size.
        path = await self._make(name, volume_xml(name, 0, "raw"))

        def report(fraction: float) -> None:
            progress(Progress(f"uploading {label} {100 * fraction:.0f} %", fraction, stage))

        await _send(self._bridge, self._places, name, source, report)
        return path

    async def grow(self, name: str, size_bytes: int) -> None:
        """Make a disk larger; never smaller."""

        def resize(connection: libvirt.virConnect) -> None:
            volume = find(connection, self._places, name)
            if volume is not None and capacity_bytes(volume) < size_bytes:
                volume.resize(size_bytes, 0)

        await whole(self._bridge.call(f"enlarge the disk {name}", resize))

    async def take_back(self) -> None:
        """Delete what was made."""

        def delete(connection: libvirt.virConnect) -> None:
            for name in self._made:
                volume = find(connection, self._places, name)
                if volume is not None:
                    volume.delete(0)

        if self._made:
            await self._bridge.call("clean up", delete)
            self._made.clear()

    async def shared(self, name: str, source: Path, progress: ProgressSink, label: str) -> str:
        """The path of a volume that many VMs use, uploaded if it is not there yet."""
        size_bytes = await self._bridge.call(f"read {source.name}", lambda _: source.stat().st_size)
        deadline_s = time.monotonic() + PARTIAL_TIMEOUT_S
        seen_bytes = -1
        while True:
            state = await self._bridge.call(f"look for {name}", self._look, name)
            if state is None:
                try:
                    path = await self.upload(name, source, progress, label, "image")
                except InputError:
                    continue  # another vmtui was first
                self._made.remove(name)  # it stays, whatever becomes of this VM
                return path
            path, have_bytes = state
            if have_bytes == size_bytes:
                return path
            # Someone is uploading it, or was interrupted: then it no longer grows.
            if have_bytes > seen_bytes:
                seen_bytes, deadline_s = have_bytes, time.monotonic() + PARTIAL_TIMEOUT_S / 4
            elif time.monotonic() > deadline_s:
                await self._bridge.call(f"replace {name}", self._drop, name)
                seen_bytes = -1
            await asyncio.sleep(0.2)

    def _look(self, connection: libvirt.virConnect, name: str) -> tuple[str, int] | None:
        volume = find(connection, self._places, name)
        if volume is None:
            return None
        try:
            return str(volume.path()), length_bytes(volume)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                raise
            pool(connection, self._places).refresh()  # someone removed the file by hand
            return None

    def _drop(self, connection: libvirt.virConnect, name: str) -> None:
        volume = find(connection, self._places, name)
        if volume is not None:
            volume.delete(0)


def _left_over(connection: libvirt.virConnect, places: Places, name: str) -> InputError:
    what = f"the storage pool {POOL} already has a volume {name}"
    others, volume = others_of(connection, places, None), find(connection, places, name)
    key = key_of(connection, places, str(volume.path())) if volume is not None else ""
    if user := others.users.get(key) or others.overlays.get(key):
        return InputError(what, why=f"it is in use by {user}", hint="Take another name.")
    return InputError(
        what,
        why="it is left from another VM, and is never overwritten",
        hint=f"Take another name, or delete it if you no longer need it: "
        f"virsh vol-delete {name} {POOL}",
    )


async def _send(
    bridge: Bridge,
    places: Places,
    name: str,
    source: Path | bytes,
    report: Callable[[float], None],
) -> None:
    """Fill a volume; `report` gets the fraction done."""
    what = f"fill {name}"

    begun: list[tuple[libvirt.virStream, BinaryIO, int]] = []

    def begin(connection: libvirt.virConnect) -> None:
        begun.append(_begin(connection, places, name, source))

    sent_bytes = 0
    try:
        await whole(bridge.call(what, begin))
        [(stream, file, total_bytes)] = begun
        while piece := await whole(
            bridge.call(what, _send_some, stream, file, timeout_s=UPLOAD_TIMEOUT_S)
        ):
            sent_bytes += piece
            report(sent_bytes / max(1, total_bytes))
        await whole(bridge.call(what, lambda _: stream.finish()))
    except BaseException:
        for stream, _, _ in begun:
            with suppress(VmtuiError):
                await whole(bridge.call("stop uploading", lambda _, it=stream: it.abort()))
        raise
    finally:
        for _, file, _ in begun:
            file.close()
    await _refresh(bridge, places)


def _begin(
    connection: libvirt.virConnect, places: Places, name: str, source: Path | bytes
) -> tuple[libvirt.virStream, BinaryIO, int]:
    volume = find(connection, places, name)
    if volume is None:
        raise OperationError(f"the volume {name} has vanished")
    file: BinaryIO = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        total_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        stream = connection.newStream(0)
        volume.upload(stream, 0, total_bytes, 0)
    except BaseException:
        file.close()
        raise
    return stream, file, total_bytes


def _send_some(_: libvirt.virConnect, stream: libvirt.virStream, file: BinaryIO) -> int:
    sent = 0
    while sent < CHUNK_BYTES and (data := file.read(PACKET_BYTES)):
        view = memoryview(data)
        while view:
            view = view[stream.send(bytes(view)) :]
        sent += len(data)
    return sent


async def _refresh(bridge: Bridge, places: Places) -> None:
    """Let the pool look at what the new content is. It can't while another upload goes on."""
    deadline_s = time.monotonic() + REFRESH_TIMEOUT_S
    while True:
        try:
            await bridge.call("look at the storage pool", lambda c: pool(c, places).refresh(0))
        except VmtuiError as error:
            if "asynchronous jobs" not in error.why or time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(0.1)
        else:
            return
