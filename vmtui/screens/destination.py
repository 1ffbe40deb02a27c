"""Where the VM of the form is to be, with the limits there, and what is to come once it is made."""

from __future__ import annotations

from collections.abc import Mapping

from vmtui.errors import VmtuiError
from vmtui.screens.base import Context
from vmtui.screens.wanted import Then, Wanted, creating_connections, thens
from vmtui.spec import Limits, VMSpec
from vmtui.widgets.forms import Choice


class Destination:
    """One of the connections that can make VMs, and the two choices of the form that are of it."""

    def __init__(self, context: Context, preferred_uri: str | None) -> None:
        self._fleet = context.fleet
        self._places = {place.uri: place for place in creating_connections(context)}
        self._own_limits: Limits | None = None
        self._ssh_answers = False
        options = [(place.uri, place.label) for place in self._places.values()]
        self.connection = Choice(options, value=preferred_uri, id="connection")
        self._then = Choice(self._thens(), id="then")

    @property
    def uri(self) -> str:
        """That of the connection."""
        return self.connection.value

    @property
    def fields(self) -> Mapping[str, Choice | None]:
        """For the form; a single connection needs no choice."""
        several = len(self._places) > 1
        return {"connection": self.connection if several else None, "then": self._then}

    def moved(self) -> None:
        """Another connection was chosen; `ask_limits` is to follow."""
        self._own_limits = None
        self._then.set_options(self._thens())

    def offer_thens(self, *, ssh_answers: bool) -> None:
        """Offer what can come then. `ssh_answers`: the guest will have a server, and a key."""
        self._ssh_answers = ssh_answers
        self._then.set_options(self._thens())

    def _thens(self) -> list[tuple[str, str]]:
        return thens(self._places[self.uri], ssh_answers=self._ssh_answers)

    async def ask_limits(self) -> None:
        """Ask what a VM there has to fit into."""
        try:
            self._own_limits = await self._fleet.asked_limits(self.uri)
        except VmtuiError:
            self._own_limits = None  # it is told when the VM is made

    @property
    def limits(self) -> Limits:
        """What is known of that now."""
        return self._fleet.limits(self.uri, self._own_limits)

    def wanted(self, spec: VMSpec) -> Wanted:
        """What the form gives."""
        return Wanted(self.uri, spec, Then[self._then.value])
