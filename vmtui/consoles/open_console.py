"""One open console as the interface has it: its terminal, what is typed, its log, its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vmtui.backends.ways_in import ConsoleSizes
from vmtui.consoles.attachment import Attachment, ConsoleKey, Place
from vmtui.consoles.feed import Feed
from vmtui.consoles.keeper import Keeper
from vmtui.consoles.log_file import LogFile, default_path
from vmtui.consoles.outgoing import Outgoing
from vmtui.consoles.turns import Turns
from vmtui.errors import VmtuiError
from vmtui.fleet import Fleet
from vmtui.prompt_size import PromptSize
from vmtui.terminal.emulator import SCROLLBACK_LINES, Emulator
from vmtui.views import VMRef


class OpenConsole:
    """One console; made by `OpenConsoles.open`, told by it where its VM is and of resets.

    `terminal` is the same object for as long as it is open.
    """

    def __init__(
        self,
        fleet: Fleet,
        key: ConsoleKey,
        *,
        changed: Callable[[], None],
        echoed: Callable[[], None],
        place: Place,
        turns: Turns,
        scrollback_lines: int = SCROLLBACK_LINES,
        attaches: bool = True,
    ) -> None:
        self._fleet = fleet
        self._changed = changed
        self._echoed = echoed
        self._typed = False  # and nothing was printed since
        self._outgoing = Outgoing()
        self._size = PromptSize()
        self._log: LogFile | None = None
        self.key = key
        self.terminal = Emulator(scrollback_lines=scrollback_lines)
        self._feed = Feed(self.terminal, turns, on_output=self._printed, answer=self._answered)
        self._keeper = Keeper(
            fleet,
            key.name,
            place,
            feed=self._feed,
            outgoing=self._outgoing,
            changed=changed,
            attaches=attaches,
        )
        self.unseen_bytes = 0
        """Printed since `seen` was called last: marks a console that said something."""

    # -- for the interface -------------------------------------------------------------------

    @property
    def attachment(self) -> Attachment:
        """How it is."""
        return self._keeper.attachment

    @property
    def notice(self) -> str:
        """What happened, for people: such as why it was detached, or who has it."""
        return self._keeper.notice

    @property
    def holder(self) -> str:
        """Who has it instead, if that is known."""
        return self._keeper.holder

    @property
    def hint(self) -> str:
        """What to try with a guest that prints nothing."""
        return self._keeper.hint

    @property
    def ref(self) -> VMRef:
        """Its VM where that runs now: another connection's after a migration."""
        return self._keeper.place.ref

    @property
    def vm_name(self) -> str:
        """Its VM's name, also when that or its connection is gone."""
        return self._keeper.vm_name

    @property
    def gone(self) -> bool:
        """Whether its VM was deleted."""
        place = self._keeper.place
        return place.vm is None and not place.problem

    @property
    def log(self) -> Path | None:
        """The file that what is printed is also written to."""
        return self._log.path if self._log else None

    def type(self, data: bytes) -> None:
        """Send to the guest; dropped while nothing is attached."""
        if self.attachment is Attachment.ATTACHED:
            self._size.typed(data)
            self._send(data)
            self._typed = True
            self._feed.typed()

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; see `offers_size` for the guest."""
        if (columns, rows) != (self.terminal.columns, self.terminal.rows):
            self.terminal.resize(columns, rows)

    @property
    def offers_size(self) -> bool:
        """Whether a shell waits that can be told the terminal's size; `set_size` does it."""
        return self.attachment is Attachment.ATTACHED and self._size.at_prompt

    async def set_size(self) -> None:
        """Tell the guest the terminal's size: by the console itself, else as a shell's command."""
        columns, rows = self.terminal.columns, self.terminal.rows
        backend = self._fleet.backend(self.ref)
        if isinstance(backend, ConsoleSizes):
            try:
                if await backend.resize_console(self.ref.id, self.key.name, columns, rows):
                    return
            except VmtuiError as error:
                self._keeper.become(self.attachment, str(error))
        # The leading space keeps it out of most shells' history.
        self.type(b" stty rows %d cols %d\r" % (rows, columns))

    def seen(self) -> None:
        """Somebody looks at it now."""
        self.unseen_bytes = 0

    def attach(self) -> None:
        """From now on have it; nothing if it was not only watched."""
        self._keeper.attach()

    async def let_go(self) -> None:
        """Leave it to another until `attach`, and watch meanwhile where that is possible."""
        await self._keeper.let_go()

    def take_over(self) -> None:
        """Attach although someone else has it; that one is detached."""
        self._keeper.begin_anew(force=True)

    def retry(self) -> None:
        """Try now what has failed."""
        self._keeper.begin_anew(force=False)

    async def start_log(self, path: Path | None = None) -> Path:
        """Write what is printed from now on to a new file too. Raises OperationError."""
        await self.stop_log()
        vm = self._keeper.place.vm
        name = vm.name if vm else "console"
        wanted = path or default_path(f"{name}-{self.key.name}" if self.key.name else name)
        self._log = await LogFile.begin(wanted, self._log_failed)
        self._changed()
        return wanted

    async def stop_log(self) -> None:
        """Stop that; all that was printed so far is in the file afterwards."""
        log, self._log = self._log, None
        if log is not None:
            await log.end()
            self._changed()

    async def close(self) -> None:
        """Detach; the terminal is forgotten."""
        await self._keeper.close()
        await self.stop_log()

    # -- for OpenConsoles --------------------------------------------------------------------

    def moved(self, place: Place) -> None:
        """Its VM or connection is in another state, or somewhere else."""
        self._keeper.moved(place)

    def guest_reset(self) -> None:
        """Its guest starts anew."""
        self._feed.as_new()
        self._changed()

    # -- output and input --------------------------------------------------------------------

    def _printed(self, piece: bytes) -> None:
        self._size.printed(piece)
        self.unseen_bytes += len(piece)
        self._keeper.hint = ""
        if self._log is not None:
            self._log.add(piece)
        told, self._typed = (self._echoed if self._typed else self._changed), False
        told()

    def _answered(self, answer: bytes) -> None:
        self._send(answer)

    def _send(self, data: bytes) -> None:
        if self.attachment is Attachment.ATTACHED and not self._outgoing.put(data):
            self._keeper.become(self.attachment, "the guest does not read what is typed")

    def _log_failed(self, why: str) -> None:
        self._log = None
        self._keeper.become(self.attachment, why)
