"""Ways into a guest: addresses that only its agent knows, and ports that are forwarded to it."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import tomli_w

from tests.contract.cases import until
from tests.truth.rigs import Rig, direct, over_libvirt
from tests.truth.shell import GuestShell
from vmtui.model import Power
from vmtui.ssh import argv

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls", "micro_image")]

# What libvirt asks an agent for, answered as qemu-ga would.
AGENT = rb"""
name=$(grep -l guest_agent /sys/class/virtio-ports/*/name)
exec 3<>/dev/$(basename $(dirname $name))
while true; do
  read -r line <&3 || continue  # until the host has opened its end
  case $line in
  *guest-sync*) id=${line##*:}; echo "{\"return\":${id%%\}*}}" >&3 ;;
  *network-get-interfaces*) echo '{"return":[{"name":"lo","ip-addresses":[
    {"ip-address-type":"ipv4","ip-address":"127.0.0.1","prefix":8}]},{"name":"eth0",
    "hardware-address":"52:54:00:00:00:01","ip-addresses":[
    {"ip-address-type":"ipv4","ip-address":"192.0.2.7","prefix":24}]}]}' | tr -d '\n' >&3
    echo >&3 ;;
  *) echo '{"error":{"class":"CommandNotFound","desc":"no such command"}}' >&3 ;;
  esac
done
"""


@pytest.fixture
async def over_agent(libvirtd: PrivateLibvirtd) -> AsyncIterator[Rig]:
    async with over_libvirt(libvirtd) as made:
        yield made


async def test_an_agent_tells_the_address(over_agent: Rig) -> None:
    rig = over_agent
    vm = await rig.started()
    async with GuestShell.of(rig.backend, vm) as shell:
        assert (await rig.backend.vm(vm)).addresses == ()
        await shell.run(f"echo {b64encode(AGENT).decode()} | base64 -d >/agent")
        await shell.run("sh /agent >/dev/null 2>&1 &")

        async def told() -> bool:
            return (await rig.backend.vm(vm)).addresses == ("192.0.2.7",)

        await until(told, 30.0, "the agent's address")


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
