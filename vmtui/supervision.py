"""Keeps a connection open, listened to and sampled, and comes back after a failure."""

from __future__ import annotations

import asyncio
import random
import time

from vmtui.connection import Connection
from vmtui.errors import OperationError, UnreachableError, VmtuiError
from vmtui.pace import Pace

RESYNC_INTERVAL_S = 15.0

RETRY_FIRST_S = 1.0
RETRY_LIMIT_S = 30.0


class Supervision:
    """Of one connection; `pace` says which of its VMs are sampled when."""

    def __init__(self, connection: Connection, pace: Pace) -> None:
        self._connection = connection
        self._pace = pace

    async def run(self) -> None:
        """Until cancelled."""
        connection, failures = self._connection, 0
        while True:
            try:
                await connection.open()
                failures = 0
                await self._serve()
            except VmtuiError as error:
                connection.went_down(error)
            except Exception as error:  # a defect in one backend must not take the others along
                connection.went_down(
                    OperationError("vmtui itself failed", why=f"{type(error).__name__}: {error}")
                )
            await connection.close()
            wait_s = min(RETRY_LIMIT_S, RETRY_FIRST_S * 2**failures)
            await connection.rest(wait_s * random.uniform(0.8, 1.2))  # noqa: S311
            failures += 1

    async def _serve(self) -> None:
        label = self._connection.label
        jobs = [
            asyncio.create_task(job, name=f"{label}: {name}")
            for name, job in (
                ("events", self._listen()),
                ("sampling", self._sample()),
                ("resync", self._resync_slowly()),
                ("host", self._watch_host()),
            )
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            await done.pop()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        raise UnreachableError(f"{label} closed the connection")

    async def _listen(self) -> None:
        async for event in self._connection.backend.events():
            await self._connection.heed(event)

    async def _resync_slowly(self) -> None:
        # Events are hints: one that got lost is made good here.
        while True:
            await asyncio.sleep(RESYNC_INTERVAL_S)
            await self._connection.resync()

    async def _watch_host(self) -> None:
        await self._connection.load_host()
        await asyncio.Event().wait()  # it does not change while the connection is open

    async def _sample(self) -> None:
        connection, pace = self._connection, self._pace
        while True:
            started_s = time.monotonic()
            batch = pace.batch(connection.active, connection.visible)
            await connection.sample(batch)
            cost_s = time.monotonic() - started_s
            pace.spent(cost_s, len(batch))
            await asyncio.sleep(pace.rest_s(started_s, cost_s))
