"""A process that runs steps for another one: reads attempts from stdin and answers on what was stdout."""

from __future__ import annotations

import os
import sys
import threading
from queue import SimpleQueue
from typing import IO

from actum.engine.runtime.executor_process import read_message, write_message
from actum.engine.runtime.far import do


def main() -> None:
    """Run what is asked for, one after the other, until the other side is gone; then end, whatever runs."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a step prints must not come between the answers
    asked: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    while True:
        write_message(answers, do(asked.get()))


def _listen(pipe: IO[bytes], asked: SimpleQueue[bytes]) -> None:
    try:
        while True:
            asked.put(read_message(pipe))
    except (EOFError, OSError):
        os._exit(0)


if __name__ == "__main__":
    main()
