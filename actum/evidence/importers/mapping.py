"""How foreign words become ours: a mapping file in YAML, laid over the defaults that ship with each format.

The defaults are in `mappings/<format>.yaml`, with a comment on every field. A mapping file names only the fields
that are to be different; each one replaces the default's field as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from fnmatch import fnmatchcase
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actum.errors import ImportRefused, near_miss

__all__ = ["Attributes", "Judgement", "Mapping", "Outcome", "OutcomeRule", "ToolErrors", "load_mapping"]

Text = Annotated[str, Field(min_length=1, max_length=256)]
Intervention = Literal[
    "override", "edit", "manual_retry", "skip", "takeover", "stop", "escalation", "correction", "manual_step"
]


class Part(BaseModel):
    """Closed and strict: a field that nobody reads would be a promise that nobody keeps."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ToolErrors(Part):
    """How a failed tool call is told from a good one; either sign is enough."""

    result_starts_with: list[Text] = []
    field: Text | None = None


class Judgement(Part):
    """What kind of verdict the reward is."""

    source: Literal["human", "deterministic", "model"] = "deterministic"
    sampling: Literal["random", "census", "targeted"] = "census"


class Attributes(Part):
    """Where an XES log keeps what we need."""

    case: Text = "concept:name"
    activity: Text = "concept:name"
    time: Text = "time:timestamp"
    resource: Text = "org:resource"
    lifecycle: Text = "lifecycle:transition"
    instance: Text = "concept:instance"
    deadline: Text | None = None


class OutcomeRule(Part):
    """One sign in a case, and the outcome it stands for."""

    last_activity: list[Text] | None = None
    any_activity: list[Text] | None = None
    case_attribute: Text | None = None
    event_attribute: Text | None = None
    equals: list[str] | None = None
    past_deadline: Literal[True] | None = None
    outcome: Literal["success", "failure", "timeout", "cancelled"]
    error_type: Text | None = None

    @model_validator(mode="after")
    def _one_sign(self) -> OutcomeRule:
        signs = ("last_activity", "any_activity", "case_attribute", "event_attribute", "past_deadline")
        if sum(getattr(self, sign) is not None for sign in signs) != 1:
            raise ValueError(f"needs exactly one of {', '.join(signs)}")
        if (self.equals is not None) != (self.case_attribute is not None or self.event_attribute is not None):
            raise ValueError("`equals` goes with case_attribute or event_attribute, and only with them")
        return self


class Outcome(Part):
    """The first rule that holds decides; `default` when none does."""

    default: Literal["success", "failure", "timeout", "cancelled"] = "success"
    rules: list[OutcomeRule] = []


class Mapping(Part):
    """All fields of all formats. Which of them a format reads is the importer's `uses`."""

    workflow: Text
    domain_pattern: Text | None = None
    task: Text | None = None
    trial: Text | None = None
    interventions: dict[Text, Intervention] = {}
    compensates: dict[Text, Text] = {}
    people: list[Text] = []
    resource_key: str = ""
    tool_errors: ToolErrors = ToolErrors()
    success_reward: float = Field(default=1.0, allow_inf_nan=False)
    judgement: Judgement | None = Judgement()
    assume_zone: Literal["UTC"] | None = None
    attributes: Attributes = Attributes()
    lifecycle: Literal["auto", "transition", "status"] = "auto"
    outcome: Outcome = Outcome()

    @model_validator(mode="after")
    def _pattern(self) -> Mapping:
        if self.domain_pattern is not None:
            try:
                groups = re.compile(self.domain_pattern).groups
            except re.error as exc:
                raise ValueError(f"domain_pattern is not a regular expression: {exc}") from None
            if groups != 1:
                raise ValueError(f"domain_pattern needs exactly one group, the domain; it has {groups}")
        return self

    @property
    def digest(self) -> str:
        """The digest of what the mapping says, however it is written down; its secret takes no part."""
        said = self.model_dump(exclude={"resource_key"})
        return "sha256:" + sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def is_person(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.people)


def load_mapping(format: str, uses: frozenset[str], path: str | Path | None = None) -> Mapping:
    """The mapping of a format: its defaults, and over them the fields of a user's file.

    Raises `ImportRefused` naming file and field when the file is not readable YAML, gives a field twice, has a
    field that is unknown or that this format does not read, or a value of the wrong kind.
    """
    defaults = files("actum.evidence.importers").joinpath("mappings", f"{format}.yaml").read_text("utf-8")
    fields = _fields(defaults, f"{format}.yaml")
    name = f"{format}.yaml"
    if path is not None:
        name = str(path)
        try:
            own = _fields(Path(path).read_text("utf-8"), name)
        except IsADirectoryError:
            raise ImportRefused(name, "mapping", "is a directory, not a mapping file") from None
        except FileNotFoundError:
            raise ImportRefused(name, "mapping", "does not exist") from None
        except (OSError, ValueError) as exc:  # ValueError: not UTF-8
            raise ImportRefused(name, "mapping", f"cannot be read as text ({exc})") from exc
        for field in own:
            if field in Mapping.model_fields and field not in uses:
                raise ImportRefused(name, field, f"means nothing to the format {format!r}; leave it out")
        fields |= own
    try:
        return Mapping.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "mapping"
        if first["type"] == "extra_forbidden":
            known = _siblings(first["loc"])
            problem = f"unknown field{near_miss(str(first['loc'][-1]), known)}; known: {', '.join(sorted(known))}"
        else:
            problem = f"{first['msg']}, but is {first['input']!r:.60}" if first["loc"] else first["msg"]
            if first["type"] == "string_type" and isinstance(first["input"], bool):
                problem += "; YAML takes yes, no, on and off for true and false, so put the word in quotes"
        raise ImportRefused(name, where, problem) from None


def _siblings(loc: tuple[str | int, ...]) -> AnyMapping[str, object]:
    """The known fields beside an unknown one."""
    model: type[BaseModel] = Mapping
    for part in loc[:-1]:
        field = model.model_fields.get(str(part))
        inner = None if field is None else field.annotation
        for kind in (inner, *get_args(inner)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return model.model_fields


def _fields(text: str, name: str) -> dict[str, Any]:
    try:
        fields = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = "mapping" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        raise ImportRefused(name, where, f"is not YAML ({getattr(exc, 'problem', None) or exc})") from None
    if fields is None:
        return {}
    if not isinstance(fields, dict) or not all(isinstance(field, str) for field in fields):
        raise ImportRefused(name, "mapping", "is not a mapping of field names to values")
    return fields


class _Loader(yaml.SafeLoader):
    """The safe loader, without its habit of letting a second value silently win over the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
