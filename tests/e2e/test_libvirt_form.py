"""The form over a real libvirtd of one's own: a VM is made from it, started and deleted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest

from tests.e2e.terminal import Terminal
from tests.e2e.test_first_vm import name_the_new_vm

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = pytest.mark.slow

NAME = "formed"
LIMIT_S = 60.0


@pytest.fixture
def terminal(libvirtd: PrivateLibvirtd, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(
        tmp_path,
        [sys.executable, "-m", "vmtui", "-c", libvirtd.uri],
        {
            **libvirtd.environment,
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            # The micro image need not be built anew for a cache of its own.
            "XDG_CACHE_HOME": str(platformdirs.user_cache_path()),
            "VMTUI_ACCEL": "tcg",
        },
    )
    yield terminal
    terminal.close()
    libvirtd.clear()


def test_a_vm_is_made_started_and_deleted(terminal: Terminal, libvirtd: PrivateLibvirtd) -> None:
    terminal.wait_for("Press n", LIMIT_S)
    name_the_new_vm(terminal, NAME)
    # What will run is libvirt's definition.
    terminal.press("F2")
    terminal.wait_for(rf"<name>{NAME}</name>")
    terminal.press("Enter")

    # Its console comes by itself once it runs; libvirt says the same.
    terminal.wait_for(r"● attached", LIMIT_S)
    with libvirtd.client() as connection:
        assert connection.lookupByName(NAME).isActive()
    terminal.press("C-\\", "d")
    terminal.wait_for(rf"{NAME}\s+● running")

    terminal.press("T")
    told = terminal.wait_for(rf"{NAME} is made and running")
    assert re.search(r"image \d+\.\d s.* start \d+\.\d s", told)
    terminal.press("Escape")
    terminal.wait_until_gone("Esc closes")
    terminal.press("X")
    terminal.wait_for("forced off first")
    terminal.press("y")
    terminal.wait_for("Press n")
    terminal.wait_for(rf"{NAME} is deleted")  # while it is under way, q asks
    with libvirtd.client() as connection:
        assert connection.listAllDomains() == []
    terminal.press("q")
    assert terminal.exit_status() == 0
