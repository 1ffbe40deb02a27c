"""Open consoles of a VM that is live-migrated between two hosts: they go with it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.truth.desk import PROMPT, Desk
from tests.truth.rigs import over_libvirt
from vmtui.command import run
from vmtui.consoles import Attachment, OpenConsole
from vmtui.model import VMId

if TYPE_CHECKING:
    from tests.contract.daemon import SystemLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

MIGRATION_LIMIT_S = 60.0

COUNT_UNTIL_ENTER = b"while ! read -rs -t 0.02 key; do n=$((n+1)); echo count-$n; done\r"
"""Not ended by Ctrl+C, which throws away what is on its way to the console."""


@pytest.fixture
def hosts(
    system_libvirtd: SystemLibvirtd, micro_image: None
) -> Iterator[tuple[SystemLibvirtd, SystemLibvirtd]]:
    """Two, as on machines of their own."""
    from tests.contract.daemon import SystemLibvirtd

    other = SystemLibvirtd()
    try:
        other.start()
        yield system_libvirtd, other
    finally:
        other.stop()


async def migrate(vm: VMId, source: SystemLibvirtd, target: SystemLibvirtd, folder: Path) -> None:
    """Live and for good, by a hand that is not vmtui's."""
    lend_kernels(source, target)
    definition = folder / "target.xml"
    with source.client() as connection:
        xml = connection.lookupByUUIDString(vm).XMLDesc()
    definition.write_text(with_logs_of(target, xml), "utf-8")
    sockets = target.root / "migration"
    sockets.mkdir(exist_ok=True)
    sockets.chmod(0o777)  # QEMU listens there, as a user of its own
    await run(
        *("virsh", "-c", source.uri, "migrate", vm, "--live", "--persistent", "--undefinesource"),
        *("--p2p", "--desturi", target.uri, "--migrateuri", f"unix://{sockets / 'qemu.sock'}"),
        *("--xml", str(definition), "--persistent-xml", str(definition)),
        timeout_s=MIGRATION_LIMIT_S,
    )


def lend_kernels(source: SystemLibvirtd, target: SystemLibvirtd) -> None:
    """What machines with shared storage would both have."""
    target.images.mkdir(parents=True, exist_ok=True)
    for path in source.images.iterdir():
        if not (copy := target.images / path.name).exists():
            shutil.copyfile(path, copy)  # without what libvirt notes beside a file in use


def with_logs_of(daemon: SystemLibvirtd, xml: str) -> str:
    """The definition, with what consoles print kept in files of that host."""
    logs = daemon.places.logs
    assert logs is not None and daemon.places.can_log()
    domain = ET.fromstring(xml)
    for log in domain.iter("log"):
        log.set("file", str(logs / Path(log.attrib["file"]).name))
    return ET.tostring(domain, encoding="unicode")


async def test_a_console_goes_with_its_vm(
    hosts: tuple[SystemLibvirtd, SystemLibvirtd], tmp_path: Path
) -> None:
    first, second = hosts
    async with over_libvirt(first) as rig, over_libvirt(second) as other:
        vm = await rig.started()
        async with Desk.over(rig, other) as desk:
            console = desk.open(vm)
            await desk.shows(console, "login: *$")
            await desk.log_in(console)
            log = await console.start_log(tmp_path / "console.log")
            await desk.run(console, "n=0; echo from-$n", "from-0")

            for source, target, label in ((first, second, "truth2"), (second, first, "truth1")):
                console.type(COUNT_UNTIL_ENTER)
                await desk.shows(console, r"^count-\d+$")
                await migrate(vm, source, target, tmp_path)
                await desk.until(partial(says, console, f"the VM runs on {label} now"))
                assert (console.attachment, console.ref.uri) == (Attachment.ATTACHED, target.uri)
                # The same shell goes on to count, and takes keys.
                console.type(b"\r")
                await desk.shows(console, PROMPT)
                await desk.run(console, "echo counted-${n:+on}", "counted-on")

            await console.stop_log()
    counted = re.findall(rb"^count-(\d+)\r$", log.read_bytes(), re.MULTILINE)
    assert [int(number) for number in counted] == list(range(1, len(counted) + 1))


def says(console: OpenConsole, notice: str) -> bool:
    """Whether it tells that."""
    return console.notice == notice
