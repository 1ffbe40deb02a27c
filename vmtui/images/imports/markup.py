"""XML from outside, read without what XML can do beyond holding data."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from vmtui.errors import InputError


class _NoDoctype(ET.TreeBuilder):
    """A tree of local names; a document type, which could define entities, ends it."""

    def doctype(self, *_: str | None) -> None:
        raise ValueError("it has a document type, which definitions of VMs have not")

    def start(self, tag: Any, attrs: dict[Any, Any]) -> ET.Element:
        return super().start(_local(tag), {_local(key): value for key, value in attrs.items()})

    def end(self, tag: Any) -> ET.Element:
        return super().end(_local(tag))


def parse(text: str, whose: str) -> ET.Element:
    """The root of the document, names without their namespaces. Raises InputError."""
    parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314 (no entities without a document type)
    try:
        parser.feed(text)
        root: ET.Element = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise InputError(f"{whose} can't be read", why=str(error)) from error
    return root


def text_of(element: ET.Element, path: str) -> str:
    """The text at `path` under `element`, stripped; "" where there is none."""
    return (element.findtext(path) or "").strip()


def _local(name: str) -> str:
    return name.rpartition("}")[2]
