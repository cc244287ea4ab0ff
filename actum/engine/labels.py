"""What an execution can be found by, when it is taken up, and until when it must have ended. Checked here, once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actum.engine.durations import seconds
from actum.errors import BadInput
from actum.events import parse_instant

if TYPE_CHECKING:
    from actum.engine.definitions import Code

__all__ = ["Labels", "Options", "check_priority", "labels_of"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_MOST: Final = 32
_HIGHEST: Final = 999_999
_LONGEST: Final = 256
_LARGEST: Final = 2**53 - 1


class Labels(NamedTuple):
    """As they are recorded."""

    priority: int = 0
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str | int | bool] | None = None


def labels_of(
    priority: int = 0, tags: Sequence[str] = (), attributes: Mapping[str, str | int | bool] | None = None
) -> Labels:
    """Raises `BadInput`, naming the one that is wrong."""
    check_priority(priority)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise BadInput(f"tags are a list of names, not {tags!r}")
    for tag in tags:
        if not tag or len(tag) > 64 or not tag.isprintable() or "=" in tag or tag != tag.strip():
            raise BadInput(f"a tag is 1 to 64 printable characters without '=', not {tag!r}")
    given = dict(attributes or {})
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadInput(
                "an attribute's name is a small letter and then up to 63 of small letters, digits, '_', '.' and '-', "
                f"not {name!r}"
            )
        _check_value(name, value)
    if len(tags) > _MOST or len(given) > _MOST:
        raise BadInput(f"an execution has at most {_MOST} tags and as many attributes")
    return Labels(priority, tuple(dict.fromkeys(tags)), given or None)


def check_priority(priority: Any) -> int:
    """Raises `BadInput` for what is none."""
    if type(priority) is not int or abs(priority) > _HIGHEST:
        raise BadInput(f"a priority is a whole number from -{_HIGHEST:,} to {_HIGHEST:,}, not {priority!r}")
    return priority


def _check_value(name: str, value: Any) -> None:
    if type(value) is str:
        if len(value) > _LONGEST or not value.isprintable():
            raise BadInput(f"attribute {name!r}: text has at most {_LONGEST} printable characters")
    elif type(value) is int:
        if abs(value) > _LARGEST:
            raise BadInput(f"attribute {name!r}: {value} is beyond 2^53")
    elif type(value) is not bool:
        raise BadInput(f"attribute {name!r} is text, a whole number, true or false, not {value!r}")


class Options(NamedTuple):
    """What `Engine.start` was given; None means: as the workflow says."""

    timeout: float | str | None = None
    deadline: datetime | None = None
    priority: int | None = None
    tags: Sequence[str] | None = None
    attributes: Mapping[str, str | int | bool] | None = None

    def deadline_us(self, now_us: int, timeout_s: float | None) -> int | None:
        """When it must have ended, if ever. Raises `BadInput` for a deadline without an offset, or that has passed."""
        limit_s = timeout_s if self.timeout is None else seconds(self.timeout)
        dues = [] if limit_s is None else [now_us + int(limit_s * 1_000_000)]
        if self.deadline is not None:
            if not isinstance(self.deadline, datetime):
                raise BadInput(f"a deadline is a datetime with an offset from UTC, not {self.deadline!r}")
            due = parse_instant(self.deadline.isoformat(), "deadline")
            if due <= now_us:
                raise BadInput(f"the deadline {self.deadline.isoformat()} has passed; nothing was started")
            dues.append(due)
        return min(dues, default=None)

    def labels(self, code: Code) -> Labels:
        """Those given here, and for the others those of the workflow."""
        own: Labels = getattr(code, "labels", Labels())
        return labels_of(
            own.priority if self.priority is None else self.priority,
            own.tags if self.tags is None else self.tags,
            own.attributes if self.attributes is None else self.attributes,
        )
