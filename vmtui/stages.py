"""How long each stage of making a VM took, from what its progress tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vmtui.progress import Progress, ProgressSink


@dataclass(frozen=True, slots=True)
class Stage:
    """One step and its seconds; those of the last one go on while it `runs`."""

    name: str
    took_s: float
    runs: bool = False


class Stages:
    """A stage begins with the first progress of its name, and ends with that of another one.

    One that comes up again goes on counting where it was.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._took_s: dict[str, float] = {}
        self._now = ""
        self._since_s = 0.0

    def note(self, progress: Progress) -> None:
        """Take in what is told; what names no stage belongs to the one that runs."""
        if progress.stage and progress.stage != self._now:
            self._enter(progress.stage)

    def end(self) -> None:
        """Nothing runs any more."""
        self._enter("")

    def _enter(self, stage: str) -> None:
        at_s = self._clock()
        if self._now:
            self._took_s[self._now] += at_s - self._since_s
        self._now, self._since_s = stage, at_s
        if stage:
            self._took_s.setdefault(stage, 0.0)

    def following(self, sink: ProgressSink) -> ProgressSink:
        """A sink that takes in what is told and hands it on."""

        def both(progress: Progress) -> None:
            self.note(progress)
            sink(progress)

        return both

    @property
    def all(self) -> tuple[Stage, ...]:
        """All so far, in the order in which they began."""
        so_far_s = self._clock() - self._since_s if self._now else 0.0
        return tuple(
            Stage(name, took_s + (so_far_s if name == self._now else 0.0), name == self._now)
            for name, took_s in self._took_s.items()
        )


def told(stages: Iterable[Stage]) -> str:
    """All in one line: `image 0.0 s, disk 0.1 s`."""
    return ", ".join(f"{stage.name} {stage.took_s:.1f} s" for stage in stages)
