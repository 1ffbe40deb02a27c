"""The table of images: here or to be pulled, who leans on them, what is being done to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events

from vmtui.shelf import Offer
from vmtui.units import plain, size
from vmtui.views import TaskView
from vmtui.widgets.graph import meter
from vmtui.widgets.lines import Line, Panel, fit, key_words, length

NAME, HERE, KIND, SIZE, USED = 22, 8, 6, 10, 10
BAR = 12
DETAILS = 4

Users = Mapping[str, Sequence[str]]
"""By an image, the VMs that lean on it."""


class ImageTable(Panel, can_focus=True):
    """A row for each image; what is being done to one stands in its row."""

    focused_border = True

    def __init__(self) -> None:
        super().__init__()
        self._offers: list[Offer] = []
        self._users: Users = {}
        self._tasks: dict[str, TaskView] = {}  # by image, while they run
        self._chosen = ""
        self._loaded = False
        self._refused: frozenset[str] = frozenset()

    def refuse(self, keys: Collection[str]) -> None:
        """Take over the keys of what can't be done."""
        self._refused = frozenset(keys)
        self.redraw()

    def show(self, offers: Sequence[Offer]) -> None:
        """Other images."""
        self._offers, self._loaded = list(offers), True
        if self.chosen is None and self._offers:
            self._chosen = self._offers[0].name
        self.redraw()

    def show_users(self, users: Users) -> None:
        """Who leans on them."""
        self._users = users
        self.redraw()

    def show_tasks(self, tasks: Mapping[str, TaskView]) -> None:
        """What is being done to them."""
        self._tasks = dict(tasks)
        self.redraw()

    @property
    def chosen(self) -> Offer | None:
        """The image under the cursor."""
        return next((offer for offer in self._offers if offer.name == self._chosen), None)

    def users(self, name: str) -> Sequence[str]:
        """The VMs that lean on an image."""
        return self._users.get(name, ())

    def move(self, step: int) -> None:
        """Move the cursor."""
        if self._offers:
            names = [offer.name for offer in self._offers]
            at = names.index(self._chosen) + step
            self._chosen = names[max(0, min(len(names) - 1, at))]
            self.redraw()

    def title(self) -> Line:
        """How many are here."""
        here = sum(offer.here for offer in self._offers)
        return [
            Segment("Images", self.ink.accent),
            Segment(f" · {here} here · {len(self._offers) - here} to pull", self.ink.quiet),
        ]

    def corner(self) -> Line:
        """The keys."""
        keys = (("n", "new VM"), ("p", "pull"), ("v", "verify"), ("x", "remove"), ("Esc", ""))
        return key_words([(key, word, key not in self._refused) for key, word in keys], self.ink)

    def body(self, width: int, height: int) -> Sequence[Line]:
        """A line each, and below them what else is known of the chosen one."""
        if not self._offers:
            text = "There are no images." if self._loaded else "Looking …"
            return [[Segment(text, self.ink.quiet)]]
        rows = max(1, height - DETAILS)
        names = [offer.name for offer in self._offers]
        top = max(0, min(names.index(self._chosen) - rows // 2, len(names) - rows))
        lines = [self._line(offer, width) for offer in self._offers[top : top + rows]]
        lines += [[]] * (rows - len(lines))
        return [*lines, *self._details(width)]

    def _line(self, offer: Offer, width: int) -> Line:
        ink, here = self.ink, offer.name == self._chosen
        mark = ("● here", ink.good) if offer.here else ("○ pull", ink.quiet)
        count = len(self.users(offer.name))
        used = "" if not count else "1 VM" if count == 1 else f"{count} VMs"
        line = [
            Segment("▸ " if here else "  ", ink.accent),
            Segment(fit(plain(offer.name), NAME), ink.strong if here else ink.text),
            Segment(fit(mark[0], HERE), mark[1]),
            Segment(fit(offer.kind.value, KIND), ink.quiet),
            Segment(fit("" if offer.size_bytes is None else size(offer.size_bytes), SIZE,
                        right=True), ink.text),
            Segment(fit(used, USED, right=True), ink.text),
            Segment("  "),
        ]  # fmt: skip
        task = self._tasks.get(offer.name)
        if task is None:
            return [*line, _rest(line, width, offer.title, ink.quiet)]
        progress = task.progress
        if progress is not None and progress.fraction is not None:
            line += [*meter(progress.fraction, BAR, ink, "cpu"), Segment("  ")]
        return [*line, _rest(line, width, progress.text if progress else task.label, ink.note)]

    def _details(self, width: int) -> list[Line]:
        offer = self.chosen
        if offer is None:
            return []
        facts = [("of", offer.source), ("user", offer.user), ("used by", self._used_by(offer))]
        lines: list[Line] = [[]]
        for label, text in facts:
            if text:
                line = [Segment(fit(f"  {label}", 12), self.ink.quiet)]
                lines.append([*line, _rest(line, width, text, self.ink.text)])
        return lines

    def _used_by(self, offer: Offer) -> str:
        return ", ".join(self.users(offer.name))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there."""
        height = self.size.height - 2
        rows = max(1, height - DETAILS)
        names = [offer.name for offer in self._offers]
        if names and 0 < event.y <= min(rows, len(names)):
            top = max(0, min(names.index(self._chosen) - rows // 2, len(names) - rows))
            self._chosen = names[top + event.y - 1]
            self.redraw()


def _rest(line: Line, width: int, text: str, style: Style) -> Segment:
    """`text` in what a line has left."""
    return Segment(fit(plain(text), width - length(line)), style)
