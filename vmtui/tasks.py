"""Long operations: started once, watched and cancelled by anyone, remembered for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from vmtui.backends.base import Progress, ProgressSink
from vmtui.errors import OperationError, VmtuiError
from vmtui.stages import Stage, Stages
from vmtui.views import TaskStatus, TaskView, VMRef

REMEMBERED = 100

Work = Callable[[ProgressSink], Awaitable[str]]
"""What a task runs: it reports progress and ends with one line on what was achieved."""

_log = logging.getLogger(__name__)


class Tasks:
    """The task list. `on_change` is called after every change."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._views: dict[int, TaskView] = {}
        self._running: dict[int, asyncio.Task[TaskView]] = {}
        self._last_id = 0

    @property
    def views(self) -> tuple[TaskView, ...]:
        """All that is remembered, oldest first."""
        return tuple(self._views.values())

    def running(self) -> dict[VMRef, str]:
        """What is being done to which VM: of several tasks the newest."""
        return {
            view.ref: view.progress.text if view.progress else view.label
            for view in self._views.values()
            if view.ref is not None and view.status is TaskStatus.RUNNING
        }

    def start(self, label: str, ref: VMRef | None, work: Work) -> asyncio.Task[TaskView]:
        """Run `work`; the returned task never raises and gives the final view."""
        self._last_id += 1
        task_id = self._last_id
        self._views[task_id] = TaskView(
            task_id, label, ref, TaskStatus.RUNNING, None, time.monotonic()
        )
        task = asyncio.create_task(self._run(task_id, work), name=f"task {task_id}: {label}")
        self._running[task_id] = task
        self._forget_old()
        self._on_change()
        return task

    def cancel(self, task_id: int) -> bool:
        """Ask a running task to stop and clean up after itself; False if it had ended."""
        task = self._running.get(task_id)
        return task is not None and task.cancel()

    async def close(self) -> None:
        """Cancel what runs and wait until it has cleaned up."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, task_id: int, work: Work) -> TaskView:
        stages = Stages()

        def report(progress: Progress) -> None:
            stages.note(progress)
            self._update(task_id, progress=progress, stages=stages.all)

        try:
            try:
                result = await work(report)
            finally:
                stages.end()
                self._views[task_id] = replace(self._views[task_id], stages=stages.all)
        except asyncio.CancelledError:
            self._end(task_id, TaskStatus.CANCELLED, result="cancelled")
        except VmtuiError as error:
            self._end(task_id, TaskStatus.FAILED, error=error)
        except Exception as error:  # a defect must end in the task list, not in a lost traceback
            _log.exception("task %d failed unexpectedly", task_id)
            problem = OperationError(
                "vmtui itself failed",
                why=f"{type(error).__name__}: {error}",
                hint="This is a defect in vmtui; please report it.",
            )
            self._end(task_id, TaskStatus.FAILED, error=problem)
        else:
            self._end(task_id, TaskStatus.DONE, result=result)
        return self._views[task_id]

    def _end(
        self,
        task_id: int,
        status: TaskStatus,
        *,
        result: str = "",
        error: VmtuiError | None = None,
    ) -> None:
        self._running.pop(task_id, None)
        view = self._views[task_id]
        self._views[task_id] = replace(
            view, status=status, result=result, error=error, ended_at_s=time.monotonic()
        )
        self._on_change()

    def _update(self, task_id: int, *, progress: Progress, stages: tuple[Stage, ...]) -> None:
        self._views[task_id] = replace(self._views[task_id], progress=progress, stages=stages)
        self._on_change()

    def _forget_old(self) -> None:
        ended = [i for i, view in self._views.items() if view.status is not TaskStatus.RUNNING]
        for task_id in ended[: max(0, len(self._views) - REMEMBERED)]:
            del self._views[task_id]
