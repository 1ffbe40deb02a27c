"""A real Debian from a publisher to a VM that one logs in to, reboots and clones: by commands."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.guest import debian
from tests.loopback import serving
from vmtui.units import GIB

if TYPE_CHECKING:
    from tests.contract.daemon import SystemLibvirtd

pytestmark = pytest.mark.slow

LIMIT_S = 1200.0
"""Two boot at once, beside what the other worker does."""
PUBLISHED = "published"

# Without what TCG takes longest for: a boot takes an eighth less than with all that it can emulate.
VMS = f"""
[[vm]]
name = "web"
image = "{PUBLISHED}"
vcpus = 1
cpu_model = "qemu64"
memory = "512M"
disk = "3G"
commands = ["echo once >>/var/told"]
network = "{{network}}"
"""

NETWORK, BRIDGE = "truth", f"vmtui{os.getpid()}"
SUBNET = f"10.213.{os.getpid() % 256}"
"""Others may run the same tests on this machine: bridges and addresses are for all of it."""
NETWORK_XML = f"""
<network><name>{NETWORK}</name><bridge name='{BRIDGE}'/>
<ip address='{SUBNET}.1' netmask='255.255.255.0'>
<dhcp><range start='{SUBNET}.10' end='{SUBNET}.99'/></dhcp></ip></network>
"""


@dataclass(frozen=True)
class Said:
    """What a guest says of itself, in one go: under emulation each login takes its time."""

    QUESTIONS = r"""
        until [ -e /run/cloud-init/result.json ]; do sleep 0.5; done
        tr -d ' \n' </run/cloud-init/result.json | sed 's/.*"errors":\(\[.*\]\).*/\1\n/'
        grep -c WARN /var/log/cloud-init.log
        whoami; hostname
        xargs </var/told
        lsblk -bno size /dev/vda1
        cat /proc/sys/kernel/random/boot_id /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub
    """

    errors: str
    """Of cloud-init, which writes them once it is done; its own program takes a tenth of a boot."""
    warnings: str
    user: str
    hostname: str
    told: str
    """By the command of its definition, each time that was run."""
    disk_bytes: str
    boot: str
    machine: str
    host_key: str


@dataclass(frozen=True)
class Home:
    """A user with a key in an agent, and one connection."""

    folder: Path
    uri: str
    environment: dict[str, str]

    @classmethod
    @asynccontextmanager
    async def of(cls, uri: str) -> AsyncIterator[Home]:
        """With folders of its own; what is left of VMs is removed at the end."""
        # Not tmp_path: the path of a socket may have 107 bytes.
        with tempfile.TemporaryDirectory(prefix="vmtui-") as name:
            folder = Path(name)
            own = {"HOME": name, "SSH_AUTH_SOCK": f"{name}/agent"}
            for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
                own[variable] = name
            home = cls(folder, uri, {**os.environ, **own})
            agent = await asyncio.create_subprocess_exec(
                *("ssh-agent", "-D", "-a", own["SSH_AUTH_SOCK"]), stdout=asyncio.subprocess.PIPE
            )
            try:
                assert agent.stdout is not None
                await agent.stdout.readline()  # its socket's name, once that is there
                await home.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{name}/key")
                await home.run("ssh-add", "-q", f"{name}/key")
                try:
                    yield home
                finally:
                    for vm in msgspec.json.decode(await home.vmtui("list", "--json")):
                        await home.vmtui("delete", vm["name"], "--yes")
            finally:
                agent.terminate()
                await agent.wait()

    async def vmtui(self, *arguments: str) -> str:
        return await self.run(sys.executable, "-m", "vmtui", "-c", self.uri, *arguments)

    async def run(self, *argv: str) -> str:
        """Standard output; it has to succeed."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{argv}: {output.decode()}{errors.decode()}"
        return output.decode().strip()

    async def publish(self, image: Path, url: str) -> None:
        """An entry of the user's own catalogue."""
        content = await asyncio.to_thread(image.read_bytes)
        sum_ = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        config = Path(self.environment["XDG_CONFIG_HOME"], "vmtui")
        config.mkdir()
        (config / "images.toml").write_text(
            f'[{PUBLISHED}]\nuser = "{debian.USER}"\nurl.amd64 = "{url}"\nsum.amd64 = "{sum_}"\n'
        )

    async def reached(self, vm: str) -> Said:
        """cloud-init is done, and left nothing undone that was asked for."""
        await self.vmtui("wait", vm, "--timeout", f"{LIMIT_S}")
        said = Said(*(await self.vmtui("ssh", vm, Said.QUESTIONS)).splitlines())
        assert (said.errors, said.warnings) == ("[]", "0")
        assert (said.user, said.hostname) == (debian.USER, vm)
        return said


@pytest.fixture(scope="session")
def debian_image() -> Path:
    if missing := debian.missing():
        pytest.skip(missing)
    return debian.ensure()


@asynccontextmanager
async def made(uri: str, image: Path, network: str) -> AsyncIterator[Home]:
    """With the VM `web`, made from what is pulled from the publisher, and running."""
    async with Home.of(uri) as home, serving() as publisher:
        await home.publish(image, publisher.serve("/debian.qcow2", image.read_bytes()))
        (home.folder / "vms.toml").write_text(VMS.format(network=network))
        await home.vmtui("create", "-f", f"{home.folder}/vms.toml", "--yes", "--start")
        yield home


async def test_a_cloud_image_becomes_a_vm_that_lasts_and_is_cloned(
    debian_image: Path, place: tuple[str, str]
) -> None:
    uri, network = place
    async with made(uri, debian_image, network) as home:
        first = await home.reached("web")
        assert first.told == "once"
        assert int(first.disk_bytes) > 2.9 * GIB
        await home.vmtui("wait", "web", "--for", "agent", "--timeout", f"{LIMIT_S}")
        (home.folder / "a file").write_bytes(os.urandom(100_000))
        await home.vmtui("cp", f"{home.folder}/a file", "web:b file")
        await home.vmtui("cp", "web:b file", f"{home.folder}/c file")
        assert (home.folder / "c file").read_bytes() == (home.folder / "a file").read_bytes()

        await home.vmtui("shutdown", "web")
        await home.vmtui("wait", "web", "--for", "off")
        # Each goes one way: what the seed orders, at the second boot and in a clone, is the same
        # over either connection.
        if uri == "kvm:":
            await home.vmtui("start", "web")
            again = await home.reached("web")
            assert again == replace(first, boot=again.boot)
            assert again.boot != first.boot
        else:
            await home.vmtui("clone", "web", "twin")
            await home.vmtui("start", "twin")
            twin = await home.reached("twin")
            assert twin.machine != first.machine
            assert twin.host_key.split()[1] != first.host_key.split()[1]


@pytest.fixture(params=["kvm", "system"])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A connection and the network of VMs there: each is reached in its own way."""
    if request.param == "kvm":
        return "kvm:", "user"
    return request.getfixturevalue("leases"), f"network:{NETWORK}"


@pytest.fixture
def leases(system_libvirtd: SystemLibvirtd) -> Iterator[str]:
    """A libvirt with a network of its own, which leads nowhere but here."""
    import libvirt

    # A new client can't tell by the address that its folders are elsewhere, as its own would.
    (system_libvirtd.root / "log/libvirt/qemu").mkdir(parents=True, exist_ok=True)
    connection = libvirt.open(system_libvirtd.uri)
    network = connection.networkCreateXML(NETWORK_XML)
    yield system_libvirtd.uri
    network.destroy()
    connection.close()
    # Nor does it reach what they keep: the log of a console, an image once no VM leans on it.
    for folder in (system_libvirtd.root / "log/libvirt/qemu", system_libvirtd.images):
        for path in (*folder.glob("*-console.log"), *folder.glob("vmtui-image-*")):
            path.unlink()
