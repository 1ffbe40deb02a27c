"""What is run when an action is done to a VM, and what it will cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vmtui.actions.action import Prepare, Prepared
from vmtui.backends.base import DeletePlan, Progress, ProgressSink
from vmtui.deferred import deferred
from vmtui.errors import OperationError
from vmtui.fleet import Fleet
from vmtui.model import INACTIVE_STATES, VM, Power, State
from vmtui.tasks import Work
from vmtui.views import VMRef

if TYPE_CHECKING:
    from vmtui import deletion, ssh
else:
    deletion, ssh = deferred("vmtui", "deletion", "ssh")

SHUTDOWN_TIMEOUT_S = 180.0
SETTLE_TIMEOUT_S = 30.0


def power(op: Power, done: str, reached: frozenset[State], *consequences: str) -> Prepare:
    """An operation that is over once the VM is in one of the states `reached`."""

    async def prepare(fleet: Fleet, ref: VMRef) -> Prepared:
        name = fleet.vm(ref).name

        async def work(progress: ProgressSink) -> str:
            progress(Progress(op.value))
            await fleet.backend(ref).power(ref.id, op)
            if not await fleet.wait_until(ref, _in_states(reached), SETTLE_TIMEOUT_S):
                raise OperationError(
                    f"{op.value} of {name} was accepted, but nothing happened",
                    why=f"it is {fleet.vm(ref).state.value} after {SETTLE_TIMEOUT_S:.0f} s",
                    hint=f"See the log: vmtui log {name}",
                )
            return f"{name} {done}"

        return Prepared(tuple(line.format(name=name) for line in consequences), work)

    return prepare


def _in_states(states: frozenset[State]) -> Callable[[VM | None], bool]:
    # A transient VM vanishes when it stops: gone counts as off.
    return lambda vm: (
        (vm is None and State.OFF in states) or (vm is not None and vm.state in states)
    )


async def prepare_shutdown(fleet: Fleet, ref: VMRef) -> Prepared:
    """The guest is asked, and waited for."""
    name = fleet.vm(ref).name

    async def work(progress: ProgressSink) -> str:
        await fleet.backend(ref).power(ref.id, Power.SHUTDOWN)
        started_s = time.monotonic()

        def reached(vm: VM | None) -> bool:
            waited_s = time.monotonic() - started_s
            progress(Progress(f"shutting down {waited_s:.0f} s", waited_s / SHUTDOWN_TIMEOUT_S))
            return _in_states(INACTIVE_STATES)(vm)

        if not await fleet.wait_until(ref, reached, SHUTDOWN_TIMEOUT_S):
            raise OperationError(
                f"{name} is still running",
                why=f"the guest did not react to the shutdown within {SHUTDOWN_TIMEOUT_S:.0f} s",
                hint=f"Force it off (what is not saved is lost): vmtui stop {name}",
            )
        return f"{name} is off"

    return Prepared((), work)


async def prepare_delete(fleet: Fleet, ref: VMRef) -> Prepared:
    """All that goes and all that stays is named."""
    plan = await fleet.backend(ref).delete_plan(ref.id)
    return Prepared(tuple(deletion.consequences(plan)), delete_work(fleet, ref, plan))


def delete_work(fleet: Fleet, ref: VMRef, plan: DeletePlan) -> Work:
    """What deletes just what the plan names."""

    async def work(progress: ProgressSink) -> str:
        progress(Progress("deleting"))
        await fleet.delete(ref, plan)
        if plan.to_trash:
            return f"{plan.name} is in the trash"
        await ssh.forget_known_host(ref.id)
        return f"{plan.name} is deleted"

    return work
