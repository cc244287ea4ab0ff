"""A definition file in the canonical dialect: one spelling for everything, defaults left out.

JSON is written in the canonical order. YAML keeps its comments, its order and its quotes wherever the canonical
dialect keeps what they belong to, which takes the extra `format`; what cannot be kept is said.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import read_graph
from actum.engine.graphs.source import is_yaml, read_text
from actum.errors import BadInput

__all__ = ["Formatted", "formatted"]


class Formatted(NamedTuple):
    """A definition's text before and after."""

    before: str
    after: str
    lost: list[str]
    """Comments that belonged to what the canonical dialect does not have."""


def formatted(path: Path) -> Formatted:
    """The file in the canonical dialect, which means the same: its digest is the same.

    Raises `DefinitionError` for a file that is no sound definition, and `BadInput` for YAML without the extra.
    """
    graph = read_graph(path)
    before = path.read_text("utf-8-sig")
    if is_yaml(path, before):
        after = _yaml(before, graph)
    else:
        after = orjson.dumps(graph.to_json(), option=orjson.OPT_INDENT_2).decode() + "\n"
    if _read_again(after, path, before).digest != graph.digest:
        raise BadInput(f"{path} cannot be written in another way without changing what it means; it was left as it is")
    written = _comments(after)
    lost = [comment for comment in _comments(before) if comment not in written] if is_yaml(path, before) else []
    return Formatted(before, after, lost)


def _read_again(text: str, path: Path, like: str) -> Graph:
    """The graph that a text defines, read as the file would be."""
    raw = read_text(text, str(path), yaml=is_yaml(path, like))
    return read_graph(raw, base=path.resolve().parent)


def _yaml(before: str, graph: Graph) -> str:
    try:
        from ruamel.yaml import YAML
    except ImportError as exc:
        raise BadInput(f"to keep the comments of a YAML file: pip install 'actum[format]' ({exc})") from None
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    old = yaml.load(before)
    out = io.StringIO()
    yaml.dump(_merged(old, graph.to_json()), out)
    return out.getvalue()


def _merged(old: Any, new: Any) -> Any:
    """What is new, in the order and with the comments of what is old."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(new, dict) and isinstance(old, CommentedMap):
        made = CommentedMap()
        made.ca.comment = old.ca.comment
        if old.fa.flow_style() is not None:
            (made.fa.set_flow_style if old.fa.flow_style() else made.fa.set_block_style)()
        for key in [*(key for key in old if key in new), *(key for key in new if key not in old)]:
            made[key] = _merged(old.get(key), new[key])
            if key in old.ca.items:
                made.ca.items[key] = old.ca.items[key]
        return made
    if isinstance(new, list) and isinstance(old, CommentedSeq):
        items = CommentedSeq(_merged(before, item) for before, item in zip(_matching(old, new), new, strict=True))
        items.ca.comment = old.ca.comment
        if old.fa.flow_style():
            items.fa.set_flow_style()
        for index, comment in old.ca.items.items():
            if index < len(new):
                items.ca.items[index] = comment
        return items
    # A scalar that means what it meant keeps its quotes; a text is one even where it stood as something else.
    return old if type(new) is not dict and type(new) is not list and old == new and _alike(old, new) else new


def _matching(old: list[Any], new: list[Any]) -> list[Any]:
    """For each new item the old one whose comments are its own: of the same place."""
    return [old[index] if index < len(old) else None for index in range(len(new))]


def _alike(old: Any, new: Any) -> bool:
    return isinstance(old, bool) is isinstance(new, bool) and isinstance(old, str) is isinstance(new, str)


def _comments(text: str) -> list[str]:
    found = [line.partition(" #")[2] if " #" in line else "" for line in text.splitlines()]
    found += [line[1:] for line in text.splitlines() if line.startswith("#")]
    return [comment.strip() for comment in found if comment.strip()]
