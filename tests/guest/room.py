"""What a guest's kernel has room for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


async def takes_vcpus(run: Callable[[str], Awaitable[str]]) -> bool:
    """Whether one that comes while the guest runs is taken before the next boot.

    Linux has long counted beforehand those that may come, and says how many. Later ones (6.12)
    count none on what they take for bare hardware, and emulation is no hypervisor that they know.
    """
    return not await run("dmesg | grep '[^0-9]0 hotplug CPUs' || true")
