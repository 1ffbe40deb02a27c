"""Tells connections what was recorded of them, one moment after the other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from vmtui.connection import Connection
from vmtui.errors import OperationError
from vmtui.frames import Described, Moment, Sampled, Unpacker
from vmtui.recording import Part


class Retelling:
    """Moments have to come in their order; where they go on elsewhere, `forget` comes before."""

    def __init__(self, connections: Iterable[Connection]) -> None:
        self._connections = {connection.uri: connection for connection in connections}
        self._host_at_s: dict[str, float] = {}
        self._session = ""
        self._unpacker = Unpacker()

    def begin(self, part: Part) -> None:
        """The moments of a part follow, from its first."""
        self._unpacker = Unpacker(part.shift_s)
        if part.began.session != self._session:
            # Between two sessions nothing is known: no rate spans them.
            self._session = part.began.session
            self.forget()

    def tell(self, moment: Moment) -> None:
        """What was known then, and what was sampled."""
        for described in moment.described:
            _describe(self._connections[described.uri], described)
        for frame in moment.sampled:
            with suppress(ValueError):  # a damaged frame costs itself alone
                self._take(frame)

    def _take(self, frame: Sampled) -> None:
        host, samples = self._unpacker.sampled(frame)
        if host is not None and self._host_at_s.get(frame.uri) == host.at_s:
            host = None  # a part begins with the last samples of the one before it
        elif host is not None:
            self._host_at_s[frame.uri] = host.at_s
        self._connections[frame.uri].take(host, samples)

    def forget(self) -> None:
        """The connections know nothing any more."""
        self._host_at_s.clear()
        for connection in self._connections.values():
            connection.forget()


def _describe(connection: Connection, described: Described) -> None:
    problem = None
    if described.problem is not None:
        what, why, hint = described.problem
        problem = OperationError(what, why=why, hint=hint)
    connection.describe(described.status, described.host, described.vms, problem)
