"""Until a VM can be reached: by its ssh server, or by the agent in it."""

from __future__ import annotations

import asyncio

from vmtui.backends.ways_in import Agents
from vmtui.errors import OperationError, StateError, UnsupportedError
from vmtui.fleet import Fleet
from vmtui.model import VM
from vmtui.readiness import ssh_banner
from vmtui.ssh import endpoint, may_find_a_way, remote_host
from vmtui.views import VMRef

_LOOK_AGAIN_S = 0.5

ADDRESS_LIMIT_S = 10.0
"""libvirt gives a guest's agent 5 s to answer."""


async def ssh_within(fleet: Fleet, ref: VMRef, limit_s: float) -> None:
    """Wait until its ssh server answers. Raises OperationError when the time is over."""
    try:
        async with asyncio.timeout(limit_s):
            await until_ssh(fleet, ref)
    except TimeoutError as error:
        name = fleet.vm(ref).name
        raise OperationError(
            f"{name} did not answer ssh within {limit_s:.0f} s",
            hint=f"It goes on. See: vmtui log {name} --console",
        ) from error


async def addressed(fleet: Fleet, ref: VMRef) -> VM:
    """The VM with its address, should it be known by now or be told within `ADDRESS_LIMIT_S`.

    Agents and the host's neighbours are asked apart from the list, so that one that does not answer
    holds up nobody: who has just connected does not know yet what they say.
    """
    if may_find_a_way(fleet.vm(ref), ref.uri):
        await fleet.wait_until(
            ref, lambda vm: vm is None or not may_find_a_way(vm, ref.uri), ADDRESS_LIMIT_S
        )
    return fleet.vm(ref)


async def until_ssh(fleet: Fleet, ref: VMRef) -> None:
    """Until its ssh server answers, for however long that takes. Raises where it never will."""
    if remote_host(ref.uri):
        raise UnsupportedError(
            "ssh can't be waited for there", why="its VM is behind another machine"
        )
    where: tuple[str, int] | None = None
    banner: asyncio.Task[None] | None = None
    try:
        while banner is None or not banner.done():
            found = _endpoint(await running(fleet, ref), ref.uri)
            if found != where:  # an address can come late, and change
                if banner is not None:
                    banner.cancel()
                where, banner = found, asyncio.create_task(ssh_banner(*found)) if found else None
            if banner is None:
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                await asyncio.wait([banner], timeout=_LOOK_AGAIN_S)
    finally:
        if banner is not None:
            banner.cancel()
            await asyncio.gather(banner, return_exceptions=True)


def _endpoint(vm: VM, uri: str) -> tuple[str, int] | None:
    try:
        return endpoint(vm, uri)
    except OperationError:
        if may_find_a_way(vm, uri):
            return None
        raise


async def running(fleet: Fleet, ref: VMRef) -> VM:
    """The VM as it is now. Raises when it is off or gone: nothing will come of it."""
    vm = await fleet.connection(ref.uri).refresh(ref.id)
    if vm is None:
        raise OperationError(f"{fleet.vm(ref).name} is gone")
    if not vm.state.active:
        raise StateError(f"{vm.name} is {vm.state.value}", hint=f"Start it: vmtui start {vm.name}")
    return vm


async def until_agent(fleet: Fleet, ref: VMRef) -> None:
    """Until its guest agent answers. Raises where there never is one."""
    backend = fleet.backend(ref)
    if not isinstance(backend, Agents):
        raise UnsupportedError(f"{backend.uri} does not reach guest agents")
    while not await backend.agent_answers((await running(fleet, ref)).id):
        await asyncio.sleep(_LOOK_AGAIN_S)
