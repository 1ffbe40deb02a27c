"""vCPUs in a domain's definition: how many, of which kind, and I/O threads beside them."""

from __future__ import annotations

import re

from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give,
    give_once,
    got,
    have,
    made,
    put,
    said,
    say,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import (
    Knob,
    whole,
    words,
)
from vmtui.backends.libvirt.domain_xml import cpu_mode
from vmtui.errors import InputError
from vmtui.hardware.values import Value
from vmtui.part_texts import topology
from vmtui.units import whole_number

_FEATURE = re.compile(r"[+-][A-Za-z0-9_.-]+")
_MODES = {"host-passthrough": "host", "host-model": "host-model", "maximum": "max"}
_POLICIES = {"require": "+", "force": "+", "disable": "-", "forbid": "-"}


def most_cpus(root: Element) -> int:
    """How many it can be given."""
    return whole_number(said(root, "vcpu")) or 1


def _read_cpus(root: Element) -> Value:
    return whole_number(got(root, "vcpu", "current")) or most_cpus(root)


def _write_cpus(root: Element, value: Value) -> None:
    count = whole(value)
    if count > most_cpus(root):
        _write_most(root, count)
    _set_cpus(root, count)


def _set_cpus(root: Element, count: int) -> None:
    vcpu = have(root, "vcpu")
    give(vcpu, "current", str(count) if count != most_cpus(root) else None)
    if not vcpu.text:
        vcpu.text = str(count)
    # Where each is named, those that can be unplugged make the difference.
    named = root.findall("vcpus/vcpu")
    surplus = sum(one.get("enabled") == "yes" for one in named) - count
    for one in reversed(named) if surplus > 0 else named:
        if surplus and one.get("hotpluggable") == "yes":
            was, becomes, step = ("yes", "no", -1) if surplus > 0 else ("no", "yes", 1)
            if one.get("enabled") == was:
                one.set("enabled", becomes)
                give(one, "order", None)
                surplus += step


def _write_most(root: Element, value: Value) -> None:
    most, now = whole(value), whole(_read_cpus(root))
    have(root, "vcpu").text = str(most)
    vcpus = root.find("vcpus")
    if vcpus is not None:
        named = vcpus.findall("vcpu")
        for one in named[most:]:
            take_out(one)
        for index in range(len(named), most):
            put(vcpus, made("vcpu", {"id": str(index), "enabled": "no", "hotpluggable": "yes"}))
    _set_cpus(root, min(now, most))


def _read_model(root: Element) -> Value:
    cpu = root.find("cpu")
    if cpu is None:
        return ""
    named = said(cpu, "model")
    name = _MODES.get(cpu.get("mode", ""), named)
    signs = {
        one.get("name", ""): sign
        for one in cpu.iterfind("feature")
        if (sign := _POLICIES.get(one.get("policy", "require")))
    }
    return ",".join([name, *(signs[one] + one for one in sorted(signs))]) if name else ""


def _write_model(root: Element, value: Value) -> None:
    name, *features = words(value).split(",")
    wrong = next((f for f in features if not _FEATURE.fullmatch(f)), None)
    if wrong is not None or (features and not name):
        raise InputError(
            f"{wrong or features[0]!r} is not a feature of a CPU",
            hint="Write +NAME or -NAME after the model, such as host,+pdpe1gb,-vmx.",
        )
    cpu = have(root, "cpu")
    if name != (words(_read_model(root)).split(",")[0]):
        _set_mode(cpu, name)
    _set_features(cpu, {f[1:]: f[0] for f in features})
    take_out_if_bare(cpu)


def _set_mode(cpu: Element, name: str) -> None:
    mode = cpu_mode(name) if name else None
    give(cpu, "mode", mode)
    if mode == "custom":
        model = have(cpu, "model")
        model.text = name
        give_once(model, "fallback", "forbid")
    else:
        for tag in ("model", "vendor"):
            take_out(cpu.find(tag))
    for attribute, modes in (
        ("match", ("custom",)),
        ("check", ("custom", "host-model", "host-passthrough", "maximum")),
        ("migratable", ("host-passthrough", "maximum")),
    ):
        if mode not in modes:
            give(cpu, attribute, None)
    if mode == "custom" and "match" not in cpu.attrib:
        cpu.set("match", "exact")


def _set_features(cpu: Element, wanted: dict[str, str]) -> None:
    known = {one.get("name", ""): one for one in cpu.iterfind("feature")}
    for name, one in known.items():
        sign = _POLICIES.get(one.get("policy", "require"))
        if sign and name not in wanted:
            take_out(one)
        elif sign and wanted[name] != sign:
            one.set("policy", "require" if wanted[name] == "+" else "disable")
    for name, sign in wanted.items():
        if name not in known:
            policy = "require" if sign == "+" else "disable"
            put(cpu, made("feature", {"policy": policy, "name": name}))


def _read_topology(root: Element) -> Value:
    found = root.find("cpu/topology")
    if found is None:
        return ""
    return "x".join(found.get(name, "1") for name in ("sockets", "cores", "threads"))


def _write_topology(root: Element, value: Value) -> None:
    cpu = have(root, "cpu")
    if not value:
        take_out(cpu.find("topology"))
        take_out_if_bare(cpu)
        return
    try:
        wanted = topology(words(value))
    except ValueError as error:
        raise InputError("cpu.topology can't be that", why=str(error)) from error
    found = have(cpu, "topology")
    for name in ("sockets", "cores", "threads"):
        found.set(name, str(getattr(wanted, name)))


def _deep(root: Element) -> str:
    found = root.find("cpu/topology")
    deeper = [n for n in ("dies", "clusters") if found is not None and found.get(n, "1") != "1"]
    return f"it has {' and '.join(deeper)} as well: edit the definition" if deeper else ""


# -- I/O threads ---------------------------------------------------------------------------------


def _read_threads(root: Element) -> Value:
    named = len(root.findall("iothreadids/iothread"))
    return max(named, whole_number(said(root, "iothreads")) or 0)


def _write_threads(root: Element, value: Value) -> None:
    count = whole(value)
    named = root.findall("iothreadids/iothread")
    ids = [whole_number(one.get("id")) or 0 for one in named]
    ids += [i for i in range(1, whole(_read_threads(root)) + len(ids) + 1) if i not in ids]
    gone = ids[count : whole(_read_threads(root))]
    used = {whole_number(driver.get("iothread")) for driver in root.iterfind("devices/*/driver")}
    busy = sorted(used & set(gone) - {None}, key=str)
    if busy:
        raise InputError(f"I/O thread {busy[0]} can't go", why="a device of the VM is served by it")
    for one in named[count:]:
        take_out(one)
    if named:
        for thread in ids[len(named) : count]:
            put(have(root, "iothreadids"), made("iothread", {"id": str(thread)}))
        take_out_if_bare(root.find("iothreadids"))
    say(root, "iothreads", str(count) if count else "")


CPU_KNOBS = {
    "cpus": Knob(_read_cpus, _write_cpus),
    "cpus.max": Knob(most_cpus, _write_most),
    "cpu.model": Knob(_read_model, _write_model),
    "cpu.topology": Knob(_read_topology, _write_topology, _deep),
    "cpu.iothreads": Knob(_read_threads, _write_threads),
}
