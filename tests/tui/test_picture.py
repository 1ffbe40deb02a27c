"""The README's picture is the dashboard as the snapshot tests have it today."""

import os
from pathlib import Path

PICTURE = Path(__file__).parents[2] / "docs" / "dashboard.svg"
SNAPSHOT = (
    Path(__file__).parent
    / "__snapshots__"
    / "test_snapshots"
    / "test_dashboard[size1-vmtui-dark].svg"
)


def test_the_picture_is_current() -> None:
    if os.environ.get("VMTUI_UPDATE_GOLDEN"):
        PICTURE.write_bytes(SNAPSHOT.read_bytes())
    assert PICTURE.read_bytes() == SNAPSHOT.read_bytes()
