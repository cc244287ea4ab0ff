"""Steps on a Ray cluster. The only module that knows Ray."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, WorkerCrashedError

from actum.engine.runtime.executors import Job
from actum.engine.runtime.far import check_sendable, do, request_of, value_of
from actum.errors import WorkerProcessDied

__all__ = ["Ray"]


class Ray:
    """Functions at the top of a module, as tasks of a Ray cluster: the one at `address`, or one that is started here.

    `options` are Ray's for a task: `num_cpus`, `num_gpus`, `resources`, `runtime_env`. Ray itself tries nothing twice:
    how often a step is tried is for the step to say, and in the log. Arguments and result go there and back as JSON. A
    task whose attempt's time is up is cancelled by force. The module of the step, and actum, must be there.
    """

    def __init__(self, address: str | None = None, **options: Any) -> None:
        self._address = address
        self._options = {"max_retries": 0, **options}
        self._task: Any = None
        self._ours = False

    def check(self, run: Callable[..., Any]) -> None:
        check_sendable(run)

    async def run(self, job: Job) -> Any:
        if self._task is None:
            self._begin()
        answer = self._task.remote(request_of(job))
        try:
            said = await asyncio.wrap_future(answer.future())
        except WorkerCrashedError as exc:
            raise WorkerProcessDied(None) from exc
        except RayError as exc:  # its own classes hold what cannot be recorded
            raise ConnectionError(f"Ray: {type(exc).__name__}: {exc}") from None
        except asyncio.CancelledError:
            ray.cancel(answer, force=True)
            raise
        return value_of(said, job.info)

    def close(self) -> None:
        self._task = None
        if self._ours and ray.is_initialized():
            ray.shutdown()

    def _begin(self) -> None:
        if not ray.is_initialized():
            ray.init(address=self._address, logging_level=logging.ERROR, include_dashboard=False)
            self._ours = True
        self._task = ray.remote(do).options(**self._options)
