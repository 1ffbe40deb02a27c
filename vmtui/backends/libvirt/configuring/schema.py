"""A definition held against libvirt's own schema, where that is at hand."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from vmtui.backends.libvirt.configuring.elements import Element, parsed
from vmtui.errors import InputError

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


def check(text: str, before: str) -> None:
    """Raise InputError with the line that the schema does not allow.

    What is stored may be of a newer libvirt, or somebody's own way: then it is no judge.
    """
    try:
        rules = etree.RelaxNG(etree.parse(SCHEMA))
    except (OSError, etree.LxmlError):
        return  # libvirt judges all of it when it is defined
    root = parsed(text)
    if _allows(rules, root) or not _allows(rules, parsed(before)):
        return
    element, attribute = _culprit(rules, root)
    what = f"can't have {attribute}={element.get(attribute)!r}" if attribute else "can't be that"
    if element is root and not attribute:
        what = "misses something, or has too much of it"
    raise InputError(
        "libvirt does not allow that", why=f"line {element.sourceline}: <{element.tag}> {what}"
    )


def _allows(rules: etree.RelaxNG, root: Element) -> bool:
    return bool(rules.validate(root.getroottree()))


def _culprit(rules: etree.RelaxNG, root: Element) -> tuple[Element, str]:
    """The innermost element, and the attribute if it is that, without which all would be well.

    What the validator itself tells is the outermost: elements may come in any order.
    """
    element = root
    while (child := next((c for c in element.findall("*") if _idle(rules, c)), None)) is not None:
        element = child
    for name, value in element.attrib.items():
        del element.attrib[name]
        well = _allows(rules, root)
        element.set(name, value)
        if well:
            return element, str(name)
    return element, ""


def _idle(rules: etree.RelaxNG, element: Element) -> bool:
    """Whether the schema would allow all the rest."""
    parent = element.getparent()
    assert parent is not None
    index = parent.index(element)
    parent.remove(element)
    try:
        return _allows(rules, parent.getroottree().getroot())
    finally:
        parent.insert(index, element)
