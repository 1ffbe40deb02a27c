"""Domains' XML: of others, of another libvirt, or edited by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.broken import DEEP, DIGITS, markup, quick, told
from vmtui.backends.libvirt import domain_facts
from vmtui.backends.libvirt.configuring import schema
from vmtui.backends.libvirt.configuring.elements import parsed
from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.pending import is_pending
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.model import VM, VMId

FOLDER = Path(__file__).parent.parent / "unit" / "xml_corpus"
CORPUS = tuple(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.xml")))
ID = VMId("6f0e1c9a-0000-4000-8000-000000000001")


@quick
@given(xml=markup(*CORPUS))
def test_it_is_listed_whatever_it_says(xml: str) -> None:
    vm = domain_facts.read(ID, "web", xml).vm
    assert isinstance(vm, VM)
    assert vm.vcpus >= 0
    assert vm.memory_bytes >= 0


@quick
@given(xml=markup(*CORPUS), live=st.none() | markup(*CORPUS))
def test_what_it_is_made_of_is_shown(xml: str, live: str | None) -> None:
    here = Situation(
        ID, "web", active=bool(live), persistent=True, xml=xml, live_xml=live or "", base=""
    )
    told(lambda: hardware(here))
    assert is_pending(live or xml, xml) in (True, False)


@settings(quick, max_examples=20)
@given(xml=markup(*CORPUS))
def test_an_edit_is_checked(xml: str) -> None:
    told(lambda: schema.check(xml, CORPUS[0]))


@pytest.mark.parametrize(
    "xml",
    [
        "<domain>" * DEEP,
        "<domain>" + "<a>" * DEEP + "</a>" * DEEP + "</domain>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><domain>&a;</domain>",
        "<?xml version='1.0' encoding='no-such'?><domain/>",
        "<domain><vcpu>" + "9" * DIGITS + "</vcpu></domain>",
        "\0",
        "<domain><metadata><v:vm xmlns:v='urn:vmtui:domain:1' ssh-port='{0}'"
        " balloon-floor-kib='{0}'/></metadata></domain>".format("9" * DIGITS),
    ],
    ids=["open", "deep", "entity", "encoding", "digits", "nul", "own"],
)
def test_what_no_libvirt_writes(xml: str) -> None:
    assert isinstance(domain_facts.read(ID, "web", xml).vm, VM)
    told(lambda: parsed(xml))
