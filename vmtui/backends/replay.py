"""A recorded connection: it knows nothing by itself and refuses every change."""

# ruff: noqa: ARG002 (the seam's arguments; nothing here has a use for them)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from vmtui.backends.base import DeletePlan, Feature, ProgressSink
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import NoSuchVMError, RefusedError
from vmtui.model import VM, Event, EventKind, Host, Power, VMId
from vmtui.spec import VMSpec


class ReplayBackend:
    """What was recorded comes from the player; this stands where a hypervisor was."""

    features = Feature.NONE

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def host(self) -> Host:
        """Refused."""
        raise refused("asking the host")

    async def host_counters(self) -> HostCounters:
        """Refused."""
        raise refused("asking the host")

    async def vms(self) -> Sequence[VM]:
        """None."""
        return ()

    async def vm(self, vm: VMId) -> VM:
        """None."""
        raise NoSuchVMError.named(vm)

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """None."""
        return {}

    async def events(self) -> AsyncIterator[Event]:
        """None."""
        await asyncio.Event().wait()
        yield Event(EventKind.RESYNC)

    async def power(self, vm: VMId, op: Power) -> None:
        """Refused."""
        raise refused(op.value)

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Refused."""
        raise refused(f"creating {spec.name}")

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """Refused."""
        raise refused("deleting")

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Refused."""
        raise refused("deleting")


def refused(what: str) -> RefusedError:
    """The one refusal of all that would change or ask something."""
    return RefusedError(
        f"{what} is refused",
        why="this is a recording",
        hint="Open vmtui without --replay to change VMs.",
    )
