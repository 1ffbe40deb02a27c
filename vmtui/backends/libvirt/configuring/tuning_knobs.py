"""What a domain's CPUs may use of the host: weight, quota, pinning, and these in one word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from vmtui.backends.libvirt.configuring.cpu_knobs import most_cpus
from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give,
    got,
    have,
    made,
    put,
    said,
    say,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, text_attribute, whole, words
from vmtui.errors import InputError
from vmtui.hardware.values import Value
from vmtui.units import whole_number

USUAL_WEIGHT = 100
USUAL_PERIOD_US = 100_000

_CPUS = re.compile(r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*")
_WEIGHTS = {"low": 25, "normal": None, "high": 400, "dedicated": 400}
_LOW_QUOTA_PERCENT = 50
"""Of each vCPU."""


@dataclass(frozen=True, slots=True)
class HostCpus:
    """What a domain is tuned against: the shares that a VM has unless told otherwise, and CPUs."""

    usual_shares: int = USUAL_WEIGHT
    free: Sequence[int] = ()  # those that no VM has for itself
    all: str = ""  # all of them, as libvirt writes them


# -- shares of the host --------------------------------------------------------------------------


def _read_weight(root: Element, usual: int) -> Value:
    shares = whole_number(said(root, "cputune/shares"))
    return max(1, round(shares * USUAL_WEIGHT / usual)) if shares is not None else None


def _write_weight(root: Element, value: Value, usual: int) -> None:
    shares = whole(value) * usual // USUAL_WEIGHT if value is not None else None
    _tune(root, "shares", max(2, shares) if shares is not None else None)


def _tune(root: Element, tag: str, value: int | None) -> None:
    say(have(root, "cputune"), tag, str(value) if value is not None else "")
    take_out_if_bare(root.find("cputune"))


def _period_us(root: Element) -> int:
    return whole_number(said(root, "cputune/global_period")) or USUAL_PERIOD_US


def _read_quota(root: Element) -> Value:
    quota_us = whole_number(said(root, "cputune/global_quota"))
    return max(1, round(quota_us * 100 / _period_us(root))) if quota_us else None


def _write_quota(root: Element, value: Value) -> None:
    _tune(root, "global_quota", whole(value) * _period_us(root) // 100 if value else None)


def _write_period(root: Element, value: Value) -> None:
    percent = _read_quota(root)
    _tune(root, "global_period", whole(value) if value is not None else None)
    _write_quota(root, percent)


# -- pinning -------------------------------------------------------------------------------------


def pins(root: Element) -> dict[int, str]:
    """The host CPUs of each vCPU that has its own, or one for all."""
    for_all = got(root, "vcpu", "cpuset")
    found = dict.fromkeys(range(most_cpus(root)), for_all) if for_all else {}
    for pin in root.iterfind("cputune/vcpupin"):
        index = whole_number(pin.get("vcpu"))
        if index is not None:
            found[index] = pin.get("cpuset", "")
    return found


def _read_pin(root: Element) -> Value:
    found = pins(root)
    if len(found) == most_cpus(root) and len(set(found.values())) == 1:
        return f"all={found[0]}" if 0 in found else ""
    return " ".join(f"{index}={cpus}" for index, cpus in sorted(found.items()))


def _write_pin(root: Element, value: Value) -> None:
    wanted = _wanted_pins(words(value), most_cpus(root))
    if len(wanted) < most_cpus(root):
        # Those that are not named would go on to have it.
        give(have(root, "vcpu"), "cpuset", None)
    for pin in root.findall("cputune/vcpupin"):
        cpus = wanted.pop(whole_number(pin.get("vcpu")) or 0, None)
        if cpus is None:
            take_out(pin)
        else:
            pin.set("cpuset", cpus)
    for index, cpus in sorted(wanted.items()):
        put(have(root, "cputune"), made("vcpupin", {"vcpu": str(index), "cpuset": cpus}))
    take_out_if_bare(root.find("cputune"))


def _wanted_pins(text: str, most: int) -> dict[int, str]:
    wanted: dict[int, str] = {}
    for word in text.split():
        which, _, cpus = word.partition("=")
        if not _CPUS.fullmatch(cpus) or not (which == "all" or which.isdecimal()):
            raise InputError(
                f"{word!r} is not a pinning", hint="Write 0=0-3 1=4, or all=0-3 for every vCPU."
            )
        if which == "all":
            wanted |= dict.fromkeys(range(most), cpus)
        elif (index := whole_number(which)) is not None and index < most:
            wanted[index] = cpus
        else:
            raise InputError(f"there is no vCPU {which}", why=f"it has {most}, counted from 0")
    return wanted


def _write_emulator(root: Element, value: Value) -> None:
    if value and not _CPUS.fullmatch(words(value)):
        raise InputError(f"{value!r} are no CPUs", hint="Write them like 0-3,8.")
    _EMULATOR.write(root, value)
    take_out_if_bare(root.find("cputune"))


_EMULATOR = text_attribute("cputune/emulatorpin", "cpuset")


# -- in one word ---------------------------------------------------------------------------------


def _read_profile(root: Element, host: HostCpus) -> Value:
    weight, quota = _read_weight(root, host.usual_shares), _read_quota(root)
    if weight == USUAL_WEIGHT:
        weight = None
    alone = {index: cpus for index, cpus in pins(root).items() if cpus != host.all}.values()
    if alone:
        of_its_own = len(set(alone)) == most_cpus(root) and all(one.isdecimal() for one in alone)
        dedicated = (weight, quota) == (_WEIGHTS["dedicated"], None) and of_its_own
        return "dedicated" if dedicated else None
    for word in ("low", "normal", "high"):
        if (weight, quota) == (_WEIGHTS[word], _quota(root, word)):
            return word
    return None


def _quota(root: Element, word: str) -> int | None:
    return _LOW_QUOTA_PERCENT * most_cpus(root) if word == "low" else None


def _write_profile(root: Element, value: Value, host: HostCpus) -> None:
    word, pinning = words(value), ""
    if not word:
        return  # tuned otherwise is no way to be tuned
    if word == "dedicated":
        most = most_cpus(root)
        if len(host.free) <= most:
            raise InputError(
                f"it can't have {most} CPUs for itself",
                why=f"one has to stay for all else, and {len(host.free)} of the host are free",
            )
        pinning = " ".join(f"{index}={host.free[index]}" for index in range(most))
    _write_weight(root, _WEIGHTS[word], host.usual_shares)
    _write_quota(root, _quota(root, word))
    _write_pin(root, pinning)


def tuning_knobs(host: HostCpus) -> dict[str, Knob]:
    """The knobs, on that host."""
    return {
        "cpu.profile": Knob(partial(_read_profile, host=host), partial(_write_profile, host=host)),
        "cpu.weight": Knob(
            partial(_read_weight, usual=host.usual_shares),
            partial(_write_weight, usual=host.usual_shares),
        ),
        "cpu.quota": Knob(_read_quota, _write_quota),
        "cpu.period": Knob(
            lambda root: whole_number(said(root, "cputune/global_period")), _write_period
        ),
        "cpu.pin": Knob(_read_pin, _write_pin),
        "cpu.emulator": Knob(_EMULATOR.read, _write_emulator),
    }
