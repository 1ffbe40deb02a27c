"""`vm.toml` as somebody left it: read or refused; what is read can be run and changed."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.broken import DEEP, DIGITS, encoded, quick, texts, told, trees
from tests.unit.test_kvm_argv import CASES, FIRMWARE, KERNEL, PLACE
from tests.unit.test_kvm_written import TEXT
from vmtui.backends.kvm import written
from vmtui.backends.kvm.argv import argv
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.trash import TrashBin
from vmtui.errors import InputError
from vmtui.images import image

EXAMPLES = [msgspec.to_builtins(definition) for definition, _ in CASES.values()]
EXAMPLES.append(tomllib.loads(TEXT))
TEXTS = (TEXT, *map(tomli_w.dumps, EXAMPLES))
WHERE = replace(PLACE, kernel=KERNEL, firmware=FIRMWARE)

definitions = encoded(
    st.sampled_from(EXAMPLES).flatmap(trees).filter(lambda tree: isinstance(tree, dict)).map(
        tomli_w.dumps
    )
    | texts(*TEXTS)
)  # fmt: skip

RECORD = """
version = 1
kind = "cloud"
file = "disk.qcow2"
format = "qcow2"
virtual_size_bytes = 3221225472
sha256 = "ab"
title = "Debian 13"
firmware = "uefi"
serial_console = true
added_at_s = 1.5
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("store")
    store = Store(root / "vms", root / "run")
    store.prepare()
    store.folder("web").mkdir()
    return store


@quick
@given(content=definitions)
def test_it_is_read_or_refused_and_what_is_read_can_be_run(store: Store, content: bytes) -> None:
    (store.folder("web") / "vm.toml").write_bytes(content)
    found: list[Definition] = []
    why = told(lambda: found.append(store.read("web")))
    for definition in found:
        assert all(isinstance(word, str) for word in argv("web", definition, WHERE))
        text = store.text("web")
        assert written.read(text) == definition
        after = msgspec.structs.replace(
            definition, vcpus=1, vcpus_max=0, topology=None, tags=("x",)
        )
        told(lambda: written.edited(text, definition, after))  # noqa: B023 (called at once)
    assert bool(why) is not bool(found)


@quick
@given(content=definitions)
def test_whatever_it_says_the_vm_is_listed_and_deleted_in_its_place(
    store: Store, content: bytes
) -> None:
    (store.folder("web") / "vm.toml").write_bytes(content)
    machine = Machine(store, "web")
    machine.reload()
    assert machine.vm().name == "web"
    kept = TrashBin(store)._root / machine.id
    assert kept.parent == TrashBin(store)._root, "by its UUID, which is a name and no path"


@quick
@given(content=encoded(trees(tomllib.loads(RECORD)).map(tomli_w.dumps) | texts(RECORD)))
def test_the_record_of_an_image(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "image"
    folder.mkdir(exist_ok=True)
    (folder / "disk.qcow2").touch()
    (folder / image.RECORD).write_bytes(content)
    told(lambda: image.read(folder))


@pytest.mark.parametrize("text", ["a = " + "[" * DEEP, "vcpus = " + "9" * DIGITS, "\0", "a" * DEEP])
def test_what_no_hand_writes(store: Store, text: str) -> None:
    (store.folder("web") / "vm.toml").write_text(text)
    with pytest.raises(InputError):
        store.read("web")
    with pytest.raises(ValueError):
        written.read(text)


def test_a_path_has_no_nul_in_it(store: Store) -> None:
    text = tomli_w.dumps({**EXAMPLES[0], "disk": [{"file": "a\0b", "format": "qcow2"}]})
    (store.folder("web") / "vm.toml").write_text(text)
    assert "disk: file" in told(lambda: store.read("web"))


def test_a_uuid_is_a_name_and_no_path(store: Store) -> None:
    for wrong in ("../../../x", "a/b", "", ".", "..", "x" * 300, "a\0b"):
        text = tomli_w.dumps({**EXAMPLES[0], "uuid": wrong})
        (store.folder("web") / "vm.toml").write_text(text)
        assert "uuid" in told(lambda: store.read("web"))
