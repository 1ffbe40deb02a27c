"""Screens whose keys wait while something that they asked for is on its way to the terminal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.worker import Worker, WorkType

from vmtui.screens.leaving import Leaving


class Holding(Leaving[None]):
    """What is typed ahead is meant for what comes, and must not reboot anything here."""

    _held = False
    _awaited: Worker[None] | None = None

    @property
    def is_held(self) -> bool:
        """Whether keys for actions are left alone."""
        return self._held

    def bring(
        self, work: Callable[[], Awaitable[object]], group: str, *, exclusive: bool = False
    ) -> None:
        """Run what is going to ask, or to open something, and hold the keys until it does.

        As long as it only reads what it asks about, Esc ends it. By the app: what is done after
        the answer outlives this screen.
        """

        async def brought() -> None:
            try:
                await work()
            finally:
                if self._awaited is worker:
                    self.release()

        work_type: WorkType[None] = brought
        worker = self.app.run_worker(work_type, group=group, exclusive=exclusive)
        self._held, self._awaited = True, worker

    def hold(self) -> None:
        """Hold the keys until they are released: Esc must not end this."""
        self._held, self._awaited = True, None

    def release(self) -> None:
        """Take keys again."""
        self._held, self._awaited = False, None

    def call_off(self) -> bool:
        """Esc: whether something was on its way. It does not come any more."""
        if self._awaited is None:
            return False
        self._awaited.cancel()
        self.release()
        return True


class Releasing(App[None]):
    """What opens a screen has the keys from that moment on; Textual's own event for it is late."""

    def push_screen(self, *args: Any, **kwargs: Any) -> Any:
        """As Textual's."""
        if self.screen_stack and isinstance(self.screen, Holding):
            self.screen.release()
        return super().push_screen(*args, **kwargs)
