"""Files from the network: resumed, tried again, limited, and shared by all who ask at once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import httpx
import msgspec
import platformdirs

from vmtui.errors import OperationError, UnreachableError
from vmtui.files import not_writable, sweep, write_whole
from vmtui.images.http import BrokenOffError, Patience, answer, refused, session
from vmtui.images.meter import STAGE, Meter, told
from vmtui.images.part import Part, continues, length, validator
from vmtui.locks import try_lock, wait_lock
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.units import GIB, MIB, duration, size

TEXT_LIMIT_BYTES = 4 * MIB
FILE_LIMIT_BYTES = 64 * GIB
KEPT_S = 14 * 86400
"""What nobody went on with for so long is removed."""

_WORTH_BYTES = MIB
_PIECE_BYTES = 256 * 1024
_LOOK_S = 0.2


class Downloads:
    """What is on its way into the folder `root`, by this process and by others."""

    def __init__(self, root: Path | None = None, patience: Patience | None = None) -> None:
        self.root = root or platformdirs.user_cache_path("vmtui") / "downloads"
        self.patience = patience or Patience()

    async def text(self, url: str) -> bytes:
        """A short file, such as a list of checksums. Raises UnreachableError, OperationError."""
        failures = 0
        async with session(self.patience) as client:
            while True:
                try:
                    async with answer(client, url, self.patience, {}) as response:
                        return await _short(url, response)
                except BrokenOffError as error:
                    failures += 1
                    await self._pause(url, error, failures, no_progress)

    @asynccontextmanager
    async def of(self, url: str, progress: ProgressSink = no_progress) -> AsyncIterator[Download]:
        """The one download of `url`; while somebody else has it, `progress` tells how far it is."""
        key = hashlib.sha256(url.encode()).hexdigest()[:24]
        try:
            await asyncio.to_thread(self.root.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(self.root, error) from error
        await asyncio.to_thread(self._sweep)
        download = Download(self, url, self.root / f"{key}.part")

        def tell() -> None:
            have, total = download.have_bytes(), download.state().total_bytes
            progress(told("downloaded by another already: ", have, total))

        lock = await wait_lock(self.root / f"{key}.lock", None, _LOOK_S, waiting=tell)
        try:
            os.utime(lock)  # by which it is known to be wanted
            yield download
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        for path in self.root.glob("*.lock"):
            sweep(path.with_suffix(".json"))
            with suppress(OSError):
                if time.time() - path.stat().st_mtime < KEPT_S:
                    continue
                lock = try_lock(path)
                if lock is not None:
                    for suffix in (".part", ".json", ".lock"):
                        path.with_suffix(suffix).unlink(missing_ok=True)
                    os.close(lock)

    async def _pause(
        self, url: str, error: BrokenOffError, failures: int, progress: ProgressSink
    ) -> None:
        if failures > self.patience.failures:
            raise UnreachableError(
                f"{url} can't be downloaded",
                why=f"{error} (tried {failures} times)",
                hint="Try again later: what has come is kept, and the rest is asked for.",
            ) from error
        pause_s = self.patience.pause_s * 2 ** max(0, failures - 1)
        pause_s = min(pause_s, self.patience.pause_limit_s)
        progress(Progress(f"{error}; trying again in {duration(pause_s)}", stage=STAGE))
        await asyncio.sleep(pause_s)


class Download:
    """A file of which a part may be here already; held by whoever has it from `Downloads.of`."""

    def __init__(self, downloads: Downloads, url: str, path: Path) -> None:
        self.url = url
        self.path = path
        self._downloads = downloads
        self._patience = downloads.patience

    def have_bytes(self) -> int:
        """How much of it is here."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def state(self) -> Part:
        """What is known of the whole file."""
        with suppress(OSError, msgspec.MsgspecError):
            state = msgspec.json.decode(self._state_path.read_bytes(), type=Part)
            if state.url == self.url:
                return state
        return Part(self.url)

    async def _keep(self, state: Part) -> None:
        await asyncio.to_thread(write_whole, self._state_path, msgspec.json.encode(state))

    @property
    def _state_path(self) -> Path:
        return self.path.with_suffix(".json")

    def discard(self) -> None:
        """Forget what is here."""
        self._state_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    async def fetch(
        self, progress: ProgressSink = no_progress, *, limit_bytes: int = FILE_LIMIT_BYTES
    ) -> Path:
        """Get what is missing; afterwards all of the file is at `path`, unverified.

        Raises UnreachableError, OperationError. Cancelled, it leaves the part for another time.
        """
        failures = 0
        async with session(self._patience) as client:
            while True:
                before_bytes = self.have_bytes()
                try:
                    await self._attempt(client, progress, limit_bytes)
                except BrokenOffError as error:
                    brought_bytes = self.have_bytes() - before_bytes
                    failures = 1 if brought_bytes >= _WORTH_BYTES else failures + 1
                    if brought_bytes <= 0:
                        await self._forget_where()
                    await self._downloads._pause(self.url, error, failures, progress)
                except OSError as error:
                    raise not_writable(self.path.parent, error) from error
                else:
                    return self.path

    async def _attempt(
        self, client: httpx.AsyncClient, progress: ProgressSink, limit_bytes: int
    ) -> None:
        state, offset = self.state(), self.have_bytes()
        if offset and offset == state.total_bytes:
            return
        async with self._answer(client, state, offset) as response:
            if response.status_code in (206, 416):
                if not continues(response, state, offset):
                    self.discard()
                    raise BrokenOffError("the server has another file now")
                state.total_bytes = int(response.headers["Content-Range"].rpartition("/")[2])
            else:
                offset, state = 0, Part(self.url, validator(response), length(response))
                self.discard()
            state.came_from = str(response.url)
            await self._keep(state)
            total_bytes = state.total_bytes
            self._refuse_too_much(max(total_bytes or 0, offset), limit_bytes)
            await self._refuse_no_space((total_bytes or 0) - offset)
            with self.path.open("ab") as file:
                have_bytes = await self._receive(
                    response, file, Meter(offset, total_bytes, progress), limit_bytes
                )
        if total_bytes is None:
            state.total_bytes = have_bytes
            await self._keep(state)
        elif have_bytes != total_bytes:
            raise BrokenOffError(f"it ended after {have_bytes} of {total_bytes} bytes")

    @asynccontextmanager
    async def _answer(
        self, client: httpx.AsyncClient, state: Part, offset: int
    ) -> AsyncIterator[httpx.Response]:
        """To a request for the rest, where there is a part, from where that came; else for all."""
        headers, known = {}, ""
        if offset and state.validator:
            headers = {"Range": f"bytes={offset}-", "If-Range": state.validator}
            known = state.came_from
        async with AsyncExitStack() as stack:
            try:
                asked = answer(client, known or self.url, self._patience, headers)
                response = await stack.enter_async_context(asked)
            except OperationError:
                if not known:
                    raise
                asked = answer(client, self.url, self._patience, headers)
                response = await stack.enter_async_context(asked)
            yield response

    async def _forget_where(self) -> None:
        """Where it came from may be gone: it is asked for anew, at the address that was given."""
        state = self.state()
        if state.came_from:
            state.came_from = ""
            await self._keep(state)

    async def _receive(
        self, response: httpx.Response, file: BinaryIO, meter: Meter, limit_bytes: int
    ) -> int:
        waiting = bytearray()
        have_bytes = meter.have_bytes
        try:
            async for piece in response.aiter_raw():
                waiting += piece
                have_bytes += len(piece)
                self._refuse_too_much(have_bytes, limit_bytes)
                if len(waiting) >= _PIECE_BYTES:
                    await _write(file, bytes(waiting))
                    waiting.clear()
                meter.tell(have_bytes)
        except httpx.TransportError:
            await _write(file, bytes(waiting))
            raise
        await _write(file, bytes(waiting))
        meter.tell(have_bytes, last=True)
        return have_bytes

    def _refuse_too_much(self, size_bytes: int, limit_bytes: int) -> None:
        if size_bytes > limit_bytes:
            self.discard()
            raise refused(self.url, f"it has more than the {size(limit_bytes)} that are allowed")

    async def _refuse_no_space(self, needed_bytes: int) -> None:
        usage = await asyncio.to_thread(shutil.disk_usage, self.path.parent)
        if usage.free < needed_bytes:
            raise OperationError(
                f"there is too little space in {self.path.parent}",
                why=f"{size(needed_bytes)} are needed, {size(usage.free)} are free",
                hint="Free some space there, or set XDG_CACHE_HOME to a folder elsewhere.",
            )


async def _write(file: BinaryIO, piece: bytes) -> None:
    """Write all of it, also when cancelled meanwhile: whoever comes next goes by the length."""
    writing = asyncio.ensure_future(asyncio.to_thread(_write_through, file, piece))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _write_through(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)
    file.flush()


async def _short(url: str, response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > TEXT_LIMIT_BYTES:
            raise refused(url, f"it has more than {size(TEXT_LIMIT_BYTES)}, which no such file has")
    return bytes(content)
