"""`i`: what each figure on the screen is, where it comes from, and why it is n/a."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from vmtui.figures import BY_ID
from vmtui.screens.base import Context
from vmtui.screens.dialog import Dialog
from vmtui.units import plain
from vmtui.views import Breach, FleetView
from vmtui.widgets.explanation import Explanation, Topic, breach_text, with_unit
from vmtui.widgets.listing import Listing, Row
from vmtui.widgets.states import ALARM

TITLE_WIDTH = 17


class ExplainScreen(Dialog):
    """The topics of the screen below, one at a time; values go on moving."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,right_square_bracket,l,right", "turn(1)", show=False),
        Binding("shift+tab,left_square_bracket,h,left", "turn(-1)", show=False),
        Binding("i", "close", show=False),
    ]

    def __init__(self, context: Context, topics: Sequence[Topic]) -> None:
        super().__init__()
        self._app_context = context
        self._thresholds = context.config.thresholds()
        self._topics = topics
        self._at = 0
        self._rows = self._explained()
        self._listing = Listing(self._rows, (TITLE_WIDTH,))
        self.heading = self._heading()
        if len(topics) > 1:
            following = ", ".join(topic.title for topic in topics[1:])
            self.keys = f"Esc closes · Tab goes on to {following}"

    def body(self) -> list[Widget]:
        """All explanations of the topic."""
        return [self._listing]

    def show(self, _view: FleetView) -> None:
        """Take over the values of this moment."""
        rows = self._explained()
        if self.is_mounted and rows != self._rows:
            self._rows = rows
            self._listing.show(rows)

    def action_turn(self, step: int) -> None:
        """Another topic."""
        self._at = (self._at + step) % len(self._topics)
        self.query_one("#title", Static).update(Content(self._heading()))
        self._rows = self._explained()
        self._listing.show(self._rows)
        self.query_one("#body").scroll_home(animate=False)

    def _heading(self) -> str:
        return f"What is shown: {self._topics[self._at].title}"

    def _explained(self) -> list[Row]:
        rows: list[Row] = []
        for explanation in self._topics[self._at].explain():
            rows += [*self._lines(explanation), (("", "text"),)]
        return rows[:-1]

    def _lines(self, told: Explanation) -> list[Row]:
        texts: list[tuple[str, str]] = []
        if told.value:
            texts.append((plain(told.value), "strong"))
        if told.absent:
            texts.append((f"n/a: {told.absent}", "warn"))
        texts += [(f"{ALARM} {self._breached(breach)}", "bad") for breach in told.breaches]
        texts.append((told.meaning, "text"))
        if told.source:
            per = "" if told.unit.startswith("per ") else "in "
            unit = f"{per}{told.unit} · " if told.unit else ""
            texts.append((f"{unit}{told.source}", "quiet"))
        texts += [(text, "quiet") for text in self._limits(told)]
        titles = [plain(told.title), *[""] * (len(texts) - 1)]
        return [((title, "accent"), text) for title, text in zip(titles, texts, strict=True)]

    def _breached(self, breach: Breach) -> str:
        return breach_text(breach, self._app_context.clock.monotonic_s())

    def _limits(self, told: Explanation) -> list[str]:
        """Above what there is an alarm."""
        above, sustained_s = self._thresholds.above, self._thresholds.sustained_s
        return [
            f"alarm when {figure.title} is above {with_unit(above[figure.id], figure.unit)} "
            f"for {sustained_s:g} s"
            for figure in (BY_ID[figure_id] for figure_id in sorted(told.figures))
            if figure.id in above
        ]
