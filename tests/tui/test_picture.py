"""The pictures in the docs are the interface as the snapshot tests have it today."""

import os
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "pictures"
SNAPSHOTS = Path(__file__).parent / "__snapshots__"
PICTURES = {
    "dashboard": "test_snapshots/test_dashboard[size1-vmtui-dark]",
    "create": "test_snapshots/test_dialogs[create-unfolded-keys7-vmtui-dark]",
    "consoles": "test_snapshots/test_console_grid[size1]",
    "hardware": "test_hardware_snapshots/test_configuring[hardware-size1]",
    "plan": "test_hardware_snapshots/test_configuring[plan-size1]",
    "memory": "test_hardware_snapshots/test_configuring[memory-size0]",
    "tpm": "test_hardware_snapshots/test_configuring[tpm-size0]",
    "isolation": "test_hardware_snapshots/test_configuring[isolation-size0]",
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_current(name: str) -> None:
    picture, snapshot = DOCS / f"{name}.svg", SNAPSHOTS / f"{PICTURES[name]}.svg"
    if os.environ.get("VMTUI_UPDATE_GOLDEN"):
        picture.write_bytes(snapshot.read_bytes())
    assert picture.read_bytes() == snapshot.read_bytes(), "make pictures"
