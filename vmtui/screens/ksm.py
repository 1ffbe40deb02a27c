"""`M`: page sharing of a host (KSM), what it saves and costs, and its switch."""

from __future__ import annotations

from vmtui import ksm
from vmtui.backends.abilities import MergesPages
from vmtui.errors import UnsupportedError
from vmtui.host_figures import HOST_BY_ID
from vmtui.ksm import KsmState, Switch
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.panel import Panel, Seen
from vmtui.units import percent, plain, size
from vmtui.views import ConnectionView
from vmtui.widgets.listing import Row

DONE = {
    Switch.ON: "KSM is on",
    Switch.OFF: "KSM is off; what is shared stays so",
    Switch.UNMERGE: "KSM is off, and each VM has its own pages again",
}


class KsmPanel(Panel):
    """Of the host of one connection, where that is this machine."""

    label_cells = 12

    def __init__(self, over: FleetScreen, connection: ConnectionView) -> None:
        host = connection.host.name if connection.host else connection.label
        super().__init__(over, f"Page sharing (KSM) of {plain(host)}", connection.uri)

    async def look(self) -> Seen:
        """What the kernel tells."""
        state = await self._backend().page_sharing()
        connection = self.shared.fleet.view().connection(self.uri)
        refusal = _refusal(state)
        turn = Switch.OFF if state.running else Switch.ON
        nothing = "" if state.running or state.saved_bytes else "There is nothing to unmerge."
        return Seen(
            _rows(state, connection),
            [
                self.command(
                    "o", f"turn {turn.name.lower()}", self._switch, turn, state, refusal=refusal
                ),
                self.command(
                    "u", "unmerge", self._switch, Switch.UNMERGE, state, refusal=refusal or nothing
                ),
            ],
        )

    def _backend(self) -> MergesPages:
        backend = self.shared.fleet.connection(self.uri).backend
        if not isinstance(backend, MergesPages):
            raise UnsupportedError("this connection tells nothing of KSM")
        return backend

    async def _switch(self, to: Switch, state: KsmState) -> None:
        question = _question(to, state)
        if question is None or await self.app.push_screen_wait(ConfirmScreen(question)):
            await self.run_task("switch KSM", DONE[to], lambda: self._backend().share_pages(to))


def _refusal(state: KsmState) -> str:
    """Why it can't be switched by this user; empty: it can."""
    turn = Switch.OFF if state.running else Switch.ON
    return "" if state.switchable else f"Only root may. As root: {ksm.command(turn)}"


def _question(to: Switch, state: KsmState) -> Question | None:
    """What has to be agreed to first; None: nothing."""
    if to is Switch.ON:
        return Question("Turn KSM on?", (("", (ksm.WARNING,)),), yes="turn on")
    if to is Switch.UNMERGE:
        cost = f"It takes {size(state.saved_bytes)} of the host's memory, and some time."
        return Question("Give each VM its own pages again?", (("", (cost,)),), yes="unmerge")
    return None


def _rows(state: KsmState, connection: ConnectionView | None) -> list[Row]:
    def fact(label: str, text: str, ink: str = "text") -> Row:
        return ((label, "quiet"), (text, ink))

    rows = [
        fact("state", state.text, "good" if state.running else "text"),
        fact("saved", f"{size(state.saved_bytes)} more would be needed without it"),
        fact("shared", f"{size(state.shared_bytes)} kept once for several VMs"),
    ]
    if state.profit_bytes is not None:
        ink = "warn" if state.profit_bytes < 0 else "text"
        text = f"{size(state.profit_bytes)}: saved, less what its bookkeeping takes"
        rows.append(fact("net", text, ink))
    rows.append(fact("costs", _search(state, connection)))
    rows += [fact("", ""), (("▲ warning", "warn"), (ksm.WARNING, "text"))]
    rows.append(fact("one VM", "keeps out of it by its setting memory.merge"))
    if not state.switchable:
        turn = Switch.OFF if state.running else Switch.ON
        rows.append(fact("as root", f"{ksm.command(turn)}  turns it {turn.name.lower()}"))
        if state.saved_bytes:
            rows.append(fact("", f"{ksm.command(Switch.UNMERGE)}  unmerges"))
    return rows


def _search(state: KsmState, connection: ConnectionView | None) -> str:
    """What the search for equal pages takes, and how far it came."""
    cost = HOST_BY_ID["ksm_cpu"].of(connection) if connection else None
    said = [f"{percent(cost)} % of one CPU"] if cost is not None else []
    if state.pages_to_scan is not None and state.sleep_ms is not None:
        said.append(f"{state.pages_to_scan} pages each {state.sleep_ms} ms")
    if state.full_scans is not None:
        said.append(f"{state.full_scans} full scans")
    return " · ".join(said) or "not told"
