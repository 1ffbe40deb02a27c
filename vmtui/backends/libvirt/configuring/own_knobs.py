"""Settings that libvirt has no place for: in vmtui's own element of a domain's metadata."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from vmtui.backends.libvirt.configuring.elements import (
    Element,
    fragment,
    give,
    got,
    made,
    put,
    said,
    say,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, kib, listed, words
from vmtui.backends.libvirt.metadata import NAMESPACE, PREFIX
from vmtui.hardware.values import Value
from vmtui.units import KIB, whole_number

OWN = f"metadata/{{{NAMESPACE}}}vm"

_TAG, _NOTES, _BALANCE = (f"{{{NAMESPACE}}}{name}" for name in ("tag", "notes", "balance"))


def own_element(root: Element) -> Element:
    """vmtui's element, made where there is none."""
    found = root.find(OWN)
    if found is not None:
        return found
    metadata = root.find("metadata")
    if metadata is None:
        metadata = put(root, made("metadata"))
    return put(metadata, etree.Element(f"{{{NAMESPACE}}}vm", nsmap={PREFIX: NAMESPACE}))


def tidy(root: Element) -> None:
    """Take out what says nothing any more."""
    take_out_if_bare(root.find(f"{OWN}/{_BALANCE}"))
    take_out_if_bare(root.find(OWN))
    take_out_if_bare(root.find("metadata"))


def own_text(root: Element) -> str | None:
    """The element as libvirt takes it alone: names are bare, and it adds the namespace itself."""
    found = root.find(OWN)
    if found is None:
        return None
    alone = deepcopy(found)
    for one in alone.iter(f"{{{NAMESPACE}}}*"):
        one.tag = one.tag.rpartition("}")[2]
    etree.cleanup_namespaces(alone)
    return fragment(alone)


def _attribute(name: str, on: str) -> Knob:
    """A mark that is there or not."""

    def write(root: Element, value: Value) -> None:
        give(own_element(root), name, on if value else None)
        tidy(root)

    return Knob(lambda root: got(root, OWN, name) == on, write)


def _word(name: str, unset: Value) -> Knob:
    def write(root: Element, value: Value) -> None:
        give(own_element(root), name, words(value) if value != unset else None)
        tidy(root)

    return Knob(lambda root: got(root, OWN, name) or unset, write)


def _size(name: str) -> Knob:
    def read(root: Element) -> Value:
        found = whole_number(got(root, OWN, name))
        return found * KIB if found else None

    def write(root: Element, value: Value) -> None:
        give(own_element(root), name, kib(value))
        tidy(root)

    return Knob(read, write)


def _read_tags(root: Element) -> Value:
    return tuple(tag.text for tag in root.iterfind(f"{OWN}/{_TAG}") if tag.text)


def _write_tags(root: Element, value: Value) -> None:
    own, wanted = own_element(root), listed(value)
    for tag in own.findall(_TAG):
        if tag.text not in wanted:
            take_out(tag)
    known = _read_tags(root)
    assert isinstance(known, tuple)
    if known != wanted:
        for tag in own.findall(_TAG):
            take_out(tag)
        for text in wanted:
            put(own, made(_TAG)).text = text
    tidy(root)


def _write_notes(root: Element, value: Value) -> None:
    own = own_element(root)
    found = own.find(_NOTES)
    if value and found is None:
        found = put(own, made(_NOTES))
    if found is not None and value:
        found.text = words(value)
    else:
        take_out(found)
    tidy(root)


def _read_notes(root: Element) -> Value:
    return said(root, f"{OWN}/{_NOTES}")


def _of_balance(name: str, *, size: bool) -> Knob:
    factor = KIB if size else 1

    def read(root: Element) -> Value:
        found = whole_number(got(root, f"{OWN}/{_BALANCE}", name))
        return found * factor if found else None

    def write(root: Element, value: Value) -> None:
        give(_balance(root), name, str(int(value) // factor) if isinstance(value, int) else None)
        tidy(root)

    return Knob(read, write)


def _balance(root: Element) -> Element:
    own = own_element(root)
    found = own.find(_BALANCE)
    return found if found is not None else put(own, made(_BALANCE))


def _write_balance(root: Element, value: Value) -> None:
    give(_balance(root), "on", "yes" if value else None)
    tidy(root)


OWN_KNOBS = {
    "name": Knob(lambda root: said(root, "name"), lambda root, v: say(root, "name", words(v))),
    "description": Knob(
        lambda root: said(root, "description"), lambda root, v: say(root, "description", words(v))
    ),
    "notes": Knob(_read_notes, _write_notes),
    "tags": Knob(_read_tags, _write_tags),
    "protected": _attribute("protected", "yes"),
    "memory.floor": _size("balloon-floor-kib"),
    "boot.once": _word("boot-once", None),
    "balance": Knob(lambda root: got(root, f"{OWN}/{_BALANCE}", "on") == "yes", _write_balance),
    "balance.least": _of_balance("least-kib", size=True),
    "balance.most": _of_balance("most-kib", size=True),
    "balance.weight": _of_balance("weight", size=False),
    "balance.reserve": _of_balance("reserve-kib", size=True),
}
