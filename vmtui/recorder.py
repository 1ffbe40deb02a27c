"""Records a fleet: whatever is new in its views is written to a file every few seconds."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from vmtui.errors import VmtuiError
from vmtui.fleet import Fleet
from vmtui.frames import Began, Described, Moment, Packed, Packer, Sampled
from vmtui.model import VMId
from vmtui.recording import Sink, frame
from vmtui.views import ConnectionView, FleetView, VMRef, VMView

WRITE_INTERVAL_S = 2.0
"""As much is lost when the process is killed."""

PART_S = 20.0
"""How often everything is written anew, so that reading can begin there."""


@asynccontextmanager
async def recorded(
    fleet: Fleet, path: Path, on_failure: Callable[[VmtuiError], None]
) -> AsyncIterator[None]:
    """Record `fleet` to `path` in the block; what was recorded there before stays.

    Raises InputError or BusyError for a file that can't be used. A failure later on, such as a
    full disk, ends the recording and nothing else.
    """
    recorder = Recorder(Sink(path), on_failure)
    unwatch = fleet.watch(recorder.see)
    writing = asyncio.create_task(recorder.run(), name=f"record to {path}")
    try:
        yield
    finally:
        unwatch()
        recorder.end()
        await writing


class Recorder:
    """Makes frames of views as they come, and writes them from a thread."""

    def __init__(self, sink: Sink, on_failure: Callable[[VmtuiError], None]) -> None:
        self._sink = sink
        self._on_failure = on_failure
        self._session = uuid.uuid4().hex
        self._ending = asyncio.Event()
        self._failed = False
        self._frames: list[list[bytes]] = []  # by part
        self._packer = Packer()
        self._part_ends_at_s = 0.0
        self._seen: dict[str, ConnectionView] = {}
        self._described: dict[str, Described] = {}
        self._rows: dict[VMRef, VMView] = {}

    # -- views to frames -----------------------------------------------------------------------

    def see(self, view: FleetView) -> None:
        """Keep what is new since the last view."""
        if self._failed:
            return
        if view.at_s >= self._part_ends_at_s:
            self._begin_part(view)
        described: list[Described] = []
        sampled: list[Sampled] = []
        for connection in view.connections:
            before = self._seen.get(connection.uri)
            if connection is before:
                continue
            self._seen[connection.uri] = connection
            description = _description(connection)
            if description != self._described.get(connection.uri):
                self._described[connection.uri] = description
                described.append(description)
            sampled += self._samples(before, connection)
        if described or sampled:
            self._frames[-1].append(frame(Moment(view.at_s, tuple(described), tuple(sampled))))

    def _begin_part(self, view: FleetView) -> None:
        self._part_ends_at_s = view.at_s + PART_S
        self._packer = Packer()
        self._seen.clear()
        self._described.clear()
        self._rows.clear()
        labels = tuple((connection.uri, connection.label) for connection in view.connections)
        began = Began(self._session, time.time(), view.at_s, labels)
        self._frames.append([frame(began)])

    def _samples(self, before: ConnectionView | None, now: ConnectionView) -> list[Sampled]:
        known = before.host_counters if before else None
        fresh = now.host_counters if now.host_counters is not known else None
        host = self._packer.host(now.uri, fresh) if fresh else None
        counters: dict[VMId, Packed | str] = {}
        stalls: dict[VMId, Packed | str] = {}
        for row in now.vms:
            last = self._rows.get(row.ref)
            if row is last:
                continue
            self._rows[row.ref] = row
            recovered = last is not None and bool(last.stalled) and not row.stalled
            if row.counters and (last is None or row.counters is not last.counters or recovered):
                counters[row.ref.id] = self._packer.vm(now.uri, row.ref.id, row.counters)
            if row.stalled and (last is None or row.stalled != last.stalled):
                stalls[row.ref.id] = row.stalled
        found = [Sampled(now.uri, host, counters)] if host or counters else []
        return [*found, Sampled(now.uri, None, stalls)] if stalls else found

    # -- frames to the file --------------------------------------------------------------------

    async def run(self) -> None:
        """Write every few seconds until `end`, then close the file."""
        try:
            ending = False
            while not ending:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WRITE_INTERVAL_S):
                        await self._ending.wait()
                ending = self._ending.is_set()  # before writing: more may come during that
                parts, self._frames = self._frames, [[]] if self._frames else []
                await asyncio.to_thread(self._write, parts)
        except VmtuiError as error:
            self._failed = True
            self._on_failure(error)
        finally:
            await asyncio.to_thread(self._sink.close)

    def _write(self, parts: list[list[bytes]]) -> None:
        for place, frames in enumerate(parts):
            if place:
                self._sink.end_part()
            if frames:
                self._sink.write(frames)

    def end(self) -> None:
        """Write what is left, and close."""
        self._ending.set()


def _description(connection: ConnectionView) -> Described:
    return Described(
        connection.uri,
        connection.label,
        connection.status,
        (p.what, p.why, p.hint) if (p := connection.problem) else None,
        connection.host,
        tuple(row.vm for row in connection.vms),
    )
