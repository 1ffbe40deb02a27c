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

SEAM_BYTES = 128
"""So much of what was shown last, found once in what the console says, is no coincidence."""

SAID_LIMIT_BYTES = 1024 * 1024
"""More is not held back: in a file that is so far behind it will not be found."""


class _WithFile:
    """An attached console, and the file that keeps what it prints, from the history on."""

    def __init__(self, console: Console, kept: KeptOutput) -> None:
        self._console = console
        self._kept: KeptOutput | None = kept
        self.history_bytes = kept.history_bytes
        self._arrival: asyncio.Task[bytes] | None = None  # what the console is about to say
        self._over = False  # it has said that it ended
        self._progress_s = 0.0
        self._pause_s = LOOK_FIRST_S

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        return self._console.ending

    @property
    def ended_because(self) -> str:
        """The same for people."""
        return self._console.ended_because

    def _is_quiet(self) -> bool:
        """Whether what is missing in the file won't come."""
        return _now_s() - self._progress_s > (LAST_WORDS_S if self._over else MISSING_LIMIT_S)

    def _went_on(self) -> None:
        self._progress_s = _now_s()
        self._pause_s = LOOK_FIRST_S

    async def _listen(self) -> bool:
        """Whether the console has said something, or ended, before the file is looked at again.

        It is also looked at without being told: what is printed while the hypervisor has not
        noticed yet that somebody attached is in the file alone.
        """
        self._arrival = self._arrival or asyncio.ensure_future(self._console.read())
        await asyncio.wait({self._arrival}, timeout=self._pause_s)
        done = self._arrival.done()
        self._pause_s = LOOK_FIRST_S if done else min(2 * self._pause_s, LOOK_LIMIT_S)
        return done

    async def _heard(self) -> bytes:
        """What the console says next."""
        arrival, self._arrival = self._arrival, None
        data = await (arrival or self._console.read())
        if not data:
            self._over = True
            self._progress_s = _now_s()
        return data

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

    At first all that is printed is taken from the file: the hypervisor may not have noticed yet
    that somebody attached, and the console's first words may be anywhere in it. Once it is known
    where they are, the file is not needed, and not used: QEMU writes bytes into it again that a
    slow reader made it send again.
    """

    def __init__(self, console: Console, kept: KeptOutput) -> None:
        super().__init__(console, kept)
        self._shown = b""  # the last of what came from the file
        self._said = bytearray()  # came from the console, until they are joined
        self._grew = True  # the file, since the console last said something

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while self._kept is not None:
            await self._take_up()
            if data := self._kept.read():
                self._shown = (self._shown + data)[-SEAM_BYTES:]
                self._grew = True
                self._went_on()
                return data
            if (unshown := self._unshown()) is not None:
                self._said.clear()
                self._let_go_of_file()
                if unshown:
                    return unshown
            elif self._over:
                await asyncio.sleep(LOOK_FIRST_S)
            else:
                await self._listen()
        return b"" if self._over else await self._heard()

    async def _take_up(self) -> None:
        # Also while the file has more: what nobody takes from a console holds its guest up.
        if not self._over:
            self._arrival = self._arrival or asyncio.ensure_future(self._console.read())
            if self._arrival.done():
                self._said += await self._heard()
                if self._grew:
                    self._progress_s, self._grew = _now_s(), False

    def _unshown(self) -> bytes | None:
        """What the console has said after what was shown; None while that is not certain."""
        said, shown = bytes(self._said), self._shown
        place = said.find(shown)
        if len(shown) == SEAM_BYTES and 0 <= place == said.rfind(shown):
            return said[place + len(shown) :]
        waited = bool(said or self._over) and self._is_quiet()
        if not waited and len(said) <= SAID_LIMIT_BYTES:
            return None
        if shown and said.endswith(shown):
            return b""  # both have all
        if place >= 0:
            return said[place + len(shown) :]
        # The console was noticed just now, or the file lacks the end of what was said.
        both = max(count for count in range(len(shown) + 1) if shown.endswith(said[:count]))
        return said[both:]


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
        self._history_left = kept.history_bytes

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while self._kept is not None:
            if data := self._kept.read():
                self._account(data)
                return data
            if (self._missing or self._over) and self._is_quiet():
                return self._without_file()
            await self._more()
        return b"" if self._over else await self._heard()

    def _account(self, data: bytes) -> None:
        past = min(self._history_left, len(data))
        self._history_left -= past
        fresh = len(data) - past
        expected = min(fresh, len(self._missing))
        del self._missing[:expected]
        self._ahead_bytes += fresh - expected
        self._went_on()

    async def _more(self) -> None:
        """Wait until there may be more in the file."""
        long = self._pause_s == LOOK_LIMIT_S
        if self._over:
            await asyncio.sleep(LOOK_FIRST_S)
        elif await self._listen():
            self._note(await self._heard())
        elif long:
            self._ahead_bytes = 0  # that was dropped, and will not come

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
