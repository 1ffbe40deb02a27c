from __future__ import annotations

from pathlib import Path

import pytest

from vmtui import ksm
from vmtui.errors import OperationError, RefusedError, UnsupportedError
from vmtui.ksm import Switch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What a kernel that shares 10 pages with 100 others tells."""
    for name, value in (("run", 0), ("pages_shared", 10), ("pages_sharing", 100)):
        (tmp_path / name).write_text(f"{value}\n")
    return tmp_path


def test_what_is_saved_is_told_in_bytes(root: Path) -> None:
    state = ksm.read(root)
    assert (state.running, state.text) == (False, "off")
    assert (state.shared_bytes, state.saved_bytes) == (10 * 4096, 100 * 4096)
    assert (state.profit_bytes, state.full_scans, state.sleep_ms) == (None, None, None)
    for name, value in (("general_profit", -5), ("full_scans", 7), ("sleep_millisecs", 20)):
        (root / name).write_text(f"{value}\n")
    state = ksm.read(root)
    assert (state.profit_bytes, state.full_scans, state.sleep_ms) == (-5, 7, 20)


def test_it_is_switched(root: Path) -> None:
    for to, runs in ((Switch.ON, True), (Switch.UNMERGE, False), (Switch.ON, True)):
        ksm.switch(to, root)
        assert (root / "run").read_text() == f"{to.value}\n"
        assert ksm.read(root).running is runs


def test_who_may_switch_it_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ksm.read(root).switchable
    monkeypatch.setattr("vmtui.ksm.os.access", lambda path, _: path != root / "run")
    assert not ksm.read(root).switchable


def test_a_kernel_without_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no KSM"):
        ksm.read(tmp_path)
    with pytest.raises(UnsupportedError, match="no KSM"):
        ksm.switch(Switch.ON, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (PermissionError(13, "Permission denied"), RefusedError),
        (OSError(12, "Cannot allocate memory"), OperationError),
    ],
)
def test_why_it_can_not_be_switched_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, raised: type[Exception]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(raised) as caught:
        ksm.switch(Switch.ON, root)
    if raised is RefusedError:
        assert f"echo 1 > {root}/run" in str(caught.value)
    else:
        assert "Cannot allocate memory" in str(caught.value)


def test_this_kernel_is_understood() -> None:
    if ksm.ROOT.exists():
        assert ksm.read().saved_bytes >= 0
