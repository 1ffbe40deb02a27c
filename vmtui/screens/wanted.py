"""What the form for a new VM gives: where, what, and what comes then."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.backends.base import Feature
from vmtui.screens.base import Context
from vmtui.spec import VMSpec
from vmtui.ssh import remote_host
from vmtui.views import ConnectionStatus, ConnectionView


class Then(Enum):
    """What comes once the VM is made. The value is how the form says it."""

    CONSOLE = "start, open console"
    SSH = "start, wait for ssh"
    START = "start"
    NOTHING = "leave it off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The VM, and its connection."""

    uri: str
    spec: VMSpec
    then: Then


def creating_connections(context: Context) -> list[ConnectionView]:
    """The connections on which a VM can be made now."""
    return [
        connection
        for connection in context.fleet.view().connections
        if connection.status is ConnectionStatus.UP
        and not connection.read_only
        and Feature.CREATE in connection.features
        and not (connection.host and connection.host.problem)
    ]


def thens(place: ConnectionView, *, ssh_answers: bool) -> list[tuple[str, str]]:
    """What can come then, for a choice. `ssh_answers`: the guest will have a server, and a key."""
    here = ssh_answers and not remote_host(place.uri)
    possible = {Then.CONSOLE: Feature.CONSOLE in place.features, Then.SSH: here}
    return [(then.name, then.value) for then in Then if possible.get(then, True)]
