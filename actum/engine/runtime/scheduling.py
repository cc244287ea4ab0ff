"""Schedules, as users of an engine define and run them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from actum.engine.definitions import Code
from actum.engine.labels import Options
from actum.engine.runtime.starting import Starting
from actum.events import Actor

__all__ = ["Scheduling"]


class Scheduling(Starting):
    """Executions that begin by themselves."""

    async def schedule(
        self,
        name: str,
        code: Code | str,
        workflow_input: Any = None,
        *,
        cron: str | None = None,
        every: float | str | None = None,
        on: str | None = None,
        on_facts: dict[str, Any] | None = None,
        zone: str = "UTC",
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        jitter: float | str | None = None,
        missed: Literal["skip", "one", "all"] | None = None,
        catch_up: float | str = "24h",
        overlap: Literal["skip", "buffer_one", "allow", "cancel_other", "terminate_other"] | None = None,
        max_running: int | None = None,
        by: str | None = None,
    ) -> bool:
        """Have executions of a workflow begin by themselves; whoever runs `run_schedules` begins them, each one once.

        The time comes from `cron` (five fields, on the clocks of `zone`), from `every` (an interval, from `start`), or
        from each event of the type `on` whose facts are `on_facts`: then the workflow's input is
        `{"event": …, "input": …}`. `code` is a workflow, or the name of one that was published; its newest definition
        runs.

        Of executions that nobody began in time, `missed` says how many are begun later, if it is not more than
        `catch_up` later: none, one, or all. The others are recorded as missed. When one is due while
        `max_running` (1, or any number for `allow`) of the schedule's executions run, `overlap` says what becomes of
        it: left out, kept until there is room, or begun beside them; with `cancel_other` the oldest is asked to
        cancel and the new one begins when it has ended, with `terminate_other` the oldest is ended at once.

        The same definition again changes nothing, and gives False. Another one holds from now on. Raises `BadInput`
        for what cannot be meant, and when the input does not fit; `NoCode` for a name that nothing was published under.
        """
        from actum.engine.schedules.control import Schedules
        from actum.engine.schedules.definition import schedule_of

        if isinstance(code, str):
            code = self.code_named(code)
        else:
            self._code[code.name] = code
        wanted = schedule_of(
            name,
            code.name,
            workflow_input,
            cron=cron,
            every=every,
            on=on,
            on_facts=on_facts,
            zone=zone,
            start=start,
            end=end,
            jitter=jitter,
            missed=missed,
            catch_up=catch_up,
            overlap=overlap,
            max_running=max_running,
        )
        command, given = self._begin(code, workflow_input, None, Options(), None)
        if on is None:
            self._try(code, name, given)
        self._publish(code, command)
        return Schedules(self.store, self.world, self.actor if by is None else Actor("person", by)).define(wanted)
