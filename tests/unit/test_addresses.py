"""Which addresses are of use, and how what is known of them is kept fresh."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from vmtui.backends import addresses
from vmtui.backends.addresses import MOST, NOTHING, PACE_S, SOON_S, Inquiries, Known, usable
from vmtui.errors import OperationError
from vmtui.model import VMId

WEB, DB = VMId("web"), VMId("db")
TOLD = Known(("10.0.0.7",), "agent")


def test_what_leads_nowhere_is_left_out() -> None:
    nowhere = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1", "169.254.1.1", "0.0.0.0", "::")
    nobodys = ("224.0.0.1", "ff02::1")
    assert usable((*nowhere, *nobodys)) == ()
    assert usable(("10.0.0.7", "fd00::2", "10.0.0.7")) == ("10.0.0.7", "fd00::2")


def test_a_guest_can_tell_anything() -> None:
    wrong = (
        "",
        "x",
        "-oProxyCommand=x",
        "10.0.0.7 ",
        "10.0.0",
        "1",
        "fd00::2%x\x1b[2J",
        "fd00::2%1",
    )
    assert usable(wrong) == ()
    endless = (f"10.{index >> 8 & 255}.{index & 255}.1" for index in range(10**9))
    assert len(usable(endless)) == MOST


class Guests:
    """They are asked and answer when they are let."""

    def __init__(self) -> None:
        self.changed: list[VMId] = []
        self.asked: list[VMId] = []
        self.answers: dict[VMId, asyncio.Future[Known]] = {}
        self.inquiries = Inquiries(self.changed.append)

    def look(self, vm: VMId, *, otherwise_known: bool = False) -> Known:
        async def ask() -> Known:
            self.asked.append(vm)
            self.answers[vm] = asyncio.get_running_loop().create_future()
            return await self.answers[vm]

        self.inquiries.keep_fresh(vm, ask, otherwise_known=otherwise_known)
        return self.inquiries.known(vm)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_that_does_not_answer_holds_up_nobody() -> None:
    guests = Guests()
    assert guests.look(WEB) == guests.look(DB) == NOTHING
    await settled()
    guests.answers[DB].set_result(TOLD)
    await settled()
    assert guests.changed == [DB]
    assert (guests.look(WEB), guests.look(DB)) == (NOTHING, TOLD)
    await settled()
    assert guests.asked == [WEB, DB], "one is still asked, the other was just now"
    await guests.inquiries.close()
    assert guests.answers[WEB].cancelled()


@pytest.mark.parametrize(
    ("answer", "otherwise_known", "pace_s"),
    [(NOTHING, False, SOON_S), (NOTHING, True, PACE_S), (TOLD, False, PACE_S)],
)
async def test_it_is_asked_again_soon_only_while_somebody_may_wait(
    monkeypatch: pytest.MonkeyPatch, answer: Known, otherwise_known: bool, pace_s: float
) -> None:
    guests, now_s = Guests(), 1000.0
    monkeypatch.setattr(addresses, "time", SimpleNamespace(monotonic=lambda: now_s))
    for after_s, times in ((0.0, 1), (pace_s - 0.1, 1), (0.2, 2)):
        now_s += after_s
        guests.look(WEB, otherwise_known=otherwise_known)
        await settled()
        assert len(guests.asked) == times
        if not guests.answers[WEB].done():
            guests.answers[WEB].set_result(answer)
        await settled()


async def test_a_failure_keeps_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "PACE_S", 0.0)
    guests = Guests()
    guests.look(WEB)
    await settled()
    guests.answers[WEB].set_result(TOLD)
    await settled()
    guests.look(WEB)
    await settled()
    guests.answers[WEB].set_exception(OperationError("it hangs"))
    await settled()
    assert guests.inquiries.known(WEB) == TOLD
    assert guests.changed == [WEB]


async def test_what_is_told_of_a_vm_that_went_off_meanwhile_is_forgotten() -> None:
    guests = Guests()
    guests.look(WEB)
    await settled()
    guests.inquiries.forget(WEB)
    guests.answers[WEB].set_result(TOLD)
    await settled()
    assert guests.inquiries.known(WEB) == NOTHING
    assert guests.changed == []
    guests.look(WEB)
    await settled()
    assert guests.asked == [WEB, WEB], "it is asked at once when it is on again"
    guests.answers[WEB].set_result(TOLD)
    await settled()
    guests.inquiries.forget(WEB)
    assert guests.inquiries.known(WEB) == NOTHING
