"""Attached consoles together with the files that keep what they print."""

from __future__ import annotations

import asyncio

from vmtui.backends.kept_output import LOOK_FIRST_S, KeptOutput
from vmtui.backends.ways_in import Console, Ending

LOOK_LIMIT_S = 1.0
MISSING_LIMIT_S = 1.0
"""What was printed and is not in the file after this long will not come: its disk is full."""

LAST_WORDS_S = 0.1
"""virtlogd is a little behind: what was printed last comes when the console has ended already."""

HEAD_BYTES = 128
_SEARCHED_BYTES = 64 * 1024


def seam(kept: bytes, heard: bytes) -> tuple[int, bool]:
    """Where in `kept` is what `heard` begins with, and whether all of that beginning is there.

    Both end about now, which says about where; what they contain says exactly.
    """
    head = heard[:HEAD_BYTES]
    about = len(kept) - len(heard)
    whole, found = [], kept.find(head)
    while found >= 0:
        whole.append(found)
        found = kept.find(head, found + 1)
    if whole:
        return min(whole, key=lambda place: abs(place - about)), True
    cut_off = range(max(0, len(kept) - len(head)), len(kept) + 1)
    return min(
        (place for place in cut_off if head.startswith(kept[place:])),
        key=lambda place: abs(place - about),
    ), False


class _WithFile:
    """An attached console, and the file that keeps what it prints, from the history on."""

    def __init__(self, console: Console, kept: KeptOutput) -> None:
        self._console = console
        self._kept: KeptOutput | None = kept
        self.history_bytes = kept.history_bytes
        self._history_left = kept.history_bytes
        self._arrival: asyncio.Task[bytes] | None = None  # what the console is about to say

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        return self._console.ending

    @property
    def ended_because(self) -> str:
        """The same for people."""
        return self._console.ended_because

    def _past_bytes(self, data: bytes) -> int:
        """How much of what the file gave next is history."""
        past = min(self._history_left, len(data))
        self._history_left -= past
        return past

    async def _listen(self, limit_s: float) -> bool:
        """Whether the console has said something, or ended; it is `_arrival` then."""
        self._arrival = self._arrival or asyncio.ensure_future(self._console.read())
        await asyncio.wait({self._arrival}, timeout=limit_s)
        return self._arrival.done()

    async def _heard(self) -> bytes:
        """What the console says next."""
        arrival, self._arrival = self._arrival, None
        return await (arrival or self._console.read())

    def _let_go_of_file(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        await self._console.write(data)

    async def close(self) -> None:
        """Detach. Idempotent."""
        try:
            await self._console.close()
            if self._arrival is not None:
                self._arrival.cancel()
                await asyncio.gather(self._arrival, return_exceptions=True)
                self._arrival = None
        finally:
            if self._kept is not None:
                self._kept.close()


class JoinedConsole(_WithFile):
    """An attached console after what it printed before: no byte twice, and none lost.

    Until the console itself says something, what is printed is taken from the file too: the
    hypervisor may not have noticed yet that somebody attached. From then on the file is not
    needed, and not used: QEMU writes bytes into it again that a slow reader made it send again.
    """

    def __init__(self, console: Console, kept: KeptOutput) -> None:
        super().__init__(console, kept)
        self._fresh = b""  # of what came from the file, what is newer than the history

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        pause_s = LOOK_FIRST_S
        while self._kept is not None:
            if data := self._kept.read():
                self._fresh = (self._fresh + data[self._past_bytes(data) :])[-_SEARCHED_BYTES:]
                return data
            heard = await self._listen(pause_s)
            pause_s = min(2 * pause_s, LOOK_LIMIT_S)
            if heard and (data := await self._join(self._kept, await self._heard())):
                return data
        return await self._console.read()

    async def _join(self, kept: KeptOutput, heard: bytes) -> bytes:
        """What comes next, now that the console has said its first words (none: it has ended)."""
        shown, more, place = self._fresh, b"", 0
        loop = asyncio.get_running_loop()
        late_s = loop.time() + LAST_WORDS_S
        while True:
            while data := kept.read():
                more += data
            place, whole = seam(shown + more, heard) if heard else (0, False)
            if whole or loop.time() > late_s:
                break
            await asyncio.sleep(LOOK_FIRST_S)
        self._let_go_of_file()
        if not heard:
            return more
        unshown = (shown + more)[len(shown) : place]
        return unshown + heard[max(0, len(shown) - place) :]


class LoggedConsole(_WithFile):
    """An attached console whose output comes from the file, all of it.

    For virtio consoles: QEMU drops what a reader does not take at once, and the guest's driver
    knows no waiting, but the file has it. The console itself is written to, and what it says
    tells that there is more in the file.
    """

    def __init__(self, console: Console, kept: KeptOutput) -> None:
        super().__init__(console, kept)
        self._missing = bytearray()  # came from the console, not yet from the file
        self._ahead_bytes = 0  # came from the file, not yet from the console
        self._progress_s = 0.0
        self._pause_s = LOOK_FIRST_S
        self._over = False

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while self._kept is not None:
            if data := self._kept.read():
                self._pause_s = LOOK_FIRST_S
                self._account(data)
                return data
            quiet_s = _now_s() - self._progress_s
            if quiet_s > (LAST_WORDS_S if self._over else MISSING_LIMIT_S) and self._missing:
                return self._without_file()
            if self._over and quiet_s > LAST_WORDS_S:
                return b""
            await self._more()
        return b"" if self._over else await self._heard()

    def _account(self, data: bytes) -> None:
        fresh = len(data) - self._past_bytes(data)
        expected = min(fresh, len(self._missing))
        del self._missing[:expected]
        self._ahead_bytes += fresh - expected
        self._progress_s = _now_s()

    async def _more(self) -> None:
        """Wait until there may be more in the file.

        It is also looked at without being told: what is printed while the hypervisor has not
        noticed yet that somebody attached is in the file alone.
        """
        if self._over:
            await asyncio.sleep(LOOK_FIRST_S)
        else:
            if await self._listen(self._pause_s):
                self._pause_s = LOOK_FIRST_S
                self._note(await self._heard())
                return
            if self._pause_s == LOOK_LIMIT_S:
                self._ahead_bytes = 0  # that was dropped, and will not come
        self._pause_s = min(2 * self._pause_s, LOOK_LIMIT_S)

    async def _heard(self) -> bytes:
        data = await super()._heard()
        if not data:
            self._over = True
            self._progress_s = _now_s()
        return data

    def _note(self, data: bytes) -> None:
        if not self._missing:
            self._progress_s = _now_s()
        known = min(self._ahead_bytes, len(data))
        self._ahead_bytes -= known
        self._missing += data[known:]

    def _without_file(self) -> bytes:
        self._let_go_of_file()
        return bytes(self._missing)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
