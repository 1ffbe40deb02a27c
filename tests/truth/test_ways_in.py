"""Ways into a guest: addresses that only its agent knows, and ports that are forwarded to it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli_w

from tests.contract.cases import until
from tests.truth.agent import start_agent
from tests.truth.rigs import Rig, direct, over_libvirt
from tests.truth.shell import GuestShell
from vmtui.model import Power
from vmtui.ssh import argv

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls", "micro_image")]


@pytest.fixture
async def over_agent(libvirtd: PrivateLibvirtd) -> AsyncIterator[Rig]:
    async with over_libvirt(libvirtd) as made:
        yield made


async def test_an_agent_tells_the_address(over_agent: Rig, tmp_path: Path) -> None:
    rig = over_agent
    vm = await rig.started()
    async with GuestShell.of(rig.backend, vm) as shell:
        assert (await rig.backend.vm(vm)).addresses == ()
        await start_agent(shell, "52:54:00:00:00:01", "192.0.2.7")

        async def told() -> bool:
            return (await rig.backend.vm(vm)).addresses == ("192.0.2.7",)

        await until(told, 30.0, "the agent's address")
        name = (await rig.backend.vm(vm)).name
        assert await seen_by_ssh(rig.backend.uri, name, tmp_path) == "-- 192.0.2.7 true"


async def seen_by_ssh(uri: str, name: str, folder: Path) -> str:
    """What a vmtui that has only just connected gives to ssh."""
    ssh = folder / "ssh"
    ssh.write_text('#!/bin/sh\nshift $(($# - 3))\necho "$@"\n', "utf-8")
    ssh.chmod(0o755)
    own = {"PATH": f"{folder}:{os.environ['PATH']}", "XDG_DATA_HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vmtui", "-c", uri, "ssh", name, "true"),
        env={**os.environ, **own},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode().strip()


async def test_a_forwarded_port_leads_to_the_guests() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with direct() as rig:
        vm = await rig.made()
        assert rig.store is not None
        definition = rig.store.folder((await rig.backend.vm(vm)).name) / "vm.toml"
        content = tomllib.loads(definition.read_text("utf-8"))
        content["nic"][0]["forward"] = [f"{port}:22"]
        content["ssh"] = {"user": "me"}
        definition.write_text(tomli_w.dumps(content), "utf-8")
        await rig.backend.power(vm, Power.START)
        found = await rig.backend.vm(vm)
        assert set(argv(found, "kvm:")) >= {"User=me", f"Port={port}"}
        async with GuestShell.of(rig.backend, vm) as shell:
            await shell.run("echo here-is-the-guest >/said; nc -l -p 22 -e cat /said &")

            async def answers() -> bool:
                # QEMU takes the connection in any case, and ends it if nobody listens.
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    return await reader.read() == b"here-is-the-guest\n"
                except ConnectionError:
                    return False
                finally:
                    writer.close()

            await until(answers, 30.0, "the guest's answer on the forwarded port")
