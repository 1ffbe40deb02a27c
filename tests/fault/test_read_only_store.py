"""The user's folders are on a file system that turned read-only: seen, and not changed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault.warm import Warm
from tests.guest.sector import write_image

pytestmark = pytest.mark.slow


@pytest.fixture
def data() -> Iterator[Path]:
    """A file system of its own."""
    if os.getuid() != 0:
        pytest.skip("mounting a file system takes root")
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        target = Path(folder) / "data"
        target.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", target], check=True)
        try:
            yield target
        finally:
            subprocess.run(["umount", target], check=True)


@contextmanager
def read_only(target: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", target], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", target], check=True)


CHANGES = (
    ("create", "new", "--image", "tiny"),
    ("create", "new", "--image", "none", "--disk", "16M"),
    ("clone", "web", "new"),
    ("delete", "web", "--yes"),
    ("delete", "web", "--yes", "--trash"),
    ("delete", "web", "--yes", "--keep", "disk"),
    ("set", "web", "memory=300M"),
    ("set", "web", "name=other"),
    ("attach", "web", "disk:16M"),
    ("tpm", "web", "add"),
    ("images", "remove", "free", "--yes"),
    ("images", "import", "IMAGE", "--name", "new"),
    ("images", "verify", "tiny"),
)


def test_all_is_seen_and_every_change_is_refused_with_the_reason(data: Path) -> None:
    root = data.parent
    folders = {"XDG_DATA_HOME": data} | {
        name: root / name.lower()
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    }
    for folder in folders.values():
        folder.mkdir(exist_ok=True, mode=0o700)
    (folders["XDG_CONFIG_HOME"] / "vmtui").mkdir()
    (folders["XDG_CONFIG_HOME"] / "vmtui" / "config.toml").write_text('connections = ["kvm:"]')
    tiny = str(write_image(root / "tiny.raw", "this is tiny"))
    environment = os.environ | {name: str(folder) for name, folder in folders.items()}
    with Warm({**environment, "VMTUI_ACCEL": "tcg"}) as warm:
        for setup in (
            ("images", "import", tiny, "--name", "tiny"),
            ("images", "import", tiny, "--name", "free"),
            ("create", "web", "--image", "tiny", "--full-copy"),
        ):
            assert warm.run(*setup).status == 0
        before = warm.run("list", "--json").output
        with read_only(data):
            for look in (
                ("list", "--json"),
                ("images", "list"),
                ("show", "web"),
                ("trash", "list"),
            ):
                ran = warm.run(*look)
                assert ran.status == 0, ran.output
            for change in CHANGES:
                ran = warm.run(*(tiny if word == "IMAGE" else word for word in change))
                assert (ran.status, "Traceback" in ran.output) == (1, False), ran.output
                assert "ead-only file system" in ran.output, (change, ran.output)
            assert warm.run("list", "--json").output == before
        assert warm.run("set", "web", "memory=300M").status == 0
        assert warm.run("delete", "web", "--yes").status == 0
