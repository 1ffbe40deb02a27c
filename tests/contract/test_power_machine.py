"""Power operations in any order, against a model of what each may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tests.contract.cases import BackendCase, in_state, until, wiped
from vmtui.backends.base import Backend, no_progress
from vmtui.errors import StateError
from vmtui.model import Power, State, VMId

T = TypeVar("T")

# Operation: where it is allowed, and where it leads.
_MODEL = {
    Power.START: ({State.OFF}, State.RUNNING),
    Power.STOP: ({State.RUNNING, State.PAUSED}, State.OFF),
    Power.PAUSE: ({State.RUNNING}, State.PAUSED),
    Power.RESUME: ({State.PAUSED}, State.RUNNING),
}


class PowerMachine(RuleBasedStateMachine):
    """One VM; `case` is set by the test that runs it."""

    case: BackendCase

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(debug=True)
        self._backend: Backend = self.case.connect(False)
        self._do(self._backend.open)
        self._others = self.case.paths_left()
        self._vm: VMId = self._do(
            lambda: self._backend.create(self.case.spec("power-machine"), no_progress)
        )
        self._state = State.OFF

    def _do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._runner.run(work())

    def _power(self, op: Power) -> None:
        allowed, after = _MODEL[op]
        if self._state in allowed:
            self._do(lambda: self._backend.power(self._vm, op))
            self._state = after
        else:
            with pytest.raises(StateError):
                self._do(lambda: self._backend.power(self._vm, op))

    @rule()
    def start(self) -> None:
        self._power(Power.START)

    @rule()
    def stop(self) -> None:
        self._power(Power.STOP)

    @rule()
    def pause(self) -> None:
        self._power(Power.PAUSE)

    @rule()
    def resume(self) -> None:
        self._power(Power.RESUME)

    @rule()
    @precondition(lambda self: self._state is State.RUNNING)
    def reset(self) -> None:
        self._do(lambda: self._backend.power(self._vm, Power.RESET))

    @rule()
    @precondition(lambda self: not self.case.has_real_guest and self._state is State.RUNNING)
    def shutdown(self) -> None:
        async def shut_down() -> None:
            await self._backend.power(self._vm, Power.SHUTDOWN)
            await in_state(self._backend, self._vm, State.OFF)

        self._do(shut_down)
        self._state = State.OFF

    @rule()
    def reconnect(self) -> None:
        async def again() -> None:
            await self._backend.close()
            await self._backend.open()

        self._do(again)

    @invariant()
    def it_is_as_modelled(self) -> None:
        vm = self._do(lambda: self._backend.vm(self._vm))
        assert vm.state is self._state
        listed = [one for one in self._do(self._listed) if one.id == self._vm]
        assert [one.state for one in listed] == [self._state]

    async def _listed(self) -> list[Any]:
        return list(await self._backend.vms())

    @invariant()
    def counters_are_of_active_vms_only(self) -> None:
        async def reached() -> bool:
            return (self._vm in await self._backend.counters([self._vm])) == self._state.active

        # Not at once: where libvirt keeps a look waiting, what was seen before it is told again.
        self._do(lambda: until(reached, what=f"counters of a VM that is {self._state}"))

    def teardown(self) -> None:
        self._do(lambda: wiped(self._backend, self._vm))
        assert self.case.paths_left() == self._others
        self._do(self._backend.close)
        self._runner.close()


def _machine(case: BackendCase) -> type[PowerMachine]:
    return type("Machine", (PowerMachine,), {"case": case})


def test_power_on_demo(demo_case: BackendCase) -> None:
    run(_machine(demo_case), settings=settings(max_examples=40, deadline=None))


def test_power_on_the_test_driver(test_driver_case: BackendCase) -> None:
    short = settings(max_examples=15, stateful_step_count=20, deadline=None)
    run(_machine(test_driver_case), settings=short)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kvm", "session"])
def test_power_on_real_qemu(name: str, request: pytest.FixtureRequest) -> None:
    few = settings(
        max_examples=4,
        stateful_step_count=10,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run(_machine(request.getfixturevalue(f"{name}_case")), settings=few)
