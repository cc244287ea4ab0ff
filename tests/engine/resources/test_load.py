"""Settings files: what they say is what the engine has; each mistake is named with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph
from actum.engine.resources.declared import Breaker, Quota, RateLimit, Resources
from actum.engine.resources.load import load_resources, resources_of
from actum.errors import BadInput, DefinitionError

WHOLE = """
pools:
  gpu: 4
  memory: {capacity: 68719476736, unit: bytes, queue: 100}
limits:
  openai: {count: 60, per: 1m, burst: 10}
breakers:
  payments: {failures: 3, within: 2m, open_for: 30s, successes: 1, probes: 2,
    errors: [ConnectionError], when_open: fail}
  plain:
quotas:
  - {pool: gpu, per: workflow, at_most: 2}
share: customer
weights: {gold: 3}
"""


def test_a_whole_file(tmp_path: Path) -> None:
    """Every field arrives."""
    path = tmp_path / "resources.yaml"
    path.write_text(WHOLE)
    found = load_resources(path)
    assert found.pools["gpu"].capacity == 4
    assert (found.pools["memory"].unit, found.pools["memory"].queue) == ("bytes", 100)
    limit = found.limits["openai"]
    assert (limit.count, limit.per_us, limit.burst) == (60, 60_000_000, 10)
    breaker = found.breakers["payments"]
    assert (breaker.failures, breaker.within_us, breaker.open_for_us) == (3, 120_000_000, 30_000_000)
    assert (breaker.successes, breaker.probes, breaker.when_open) == (1, 2, "fail")
    assert breaker.errors == {"ConnectionError"}
    assert found.breakers["plain"].failures == 5
    assert found.quotas == (Quota("gpu", "workflow", 2),)
    assert (found.share, found.weights) == ("customer", {"gold": 3})


@pytest.mark.parametrize(
    ("said", "place", "why"),
    [
        ([], r"\$", "is a mapping"),
        ({"pool": {}}, "pool", "did you mean 'pools'"),
        ({"pools": ["gpu"]}, "pools", "a mapping of names"),
        ({"pools": {"gpu": "four"}}, "pools.gpu", "capacity must be a whole number"),
        ({"pools": {"gpu": {"capacity": 0}}}, "pools.gpu", "at least 1, not 0"),
        ({"pools": {"gpu": {"unit": "x"}}}, "pools.gpu.capacity", "is missing"),
        ({"pools": {"gpu": {"capacity": 1, "que": 1}}}, "pools.gpu.que", "did you mean 'queue'"),
        ({"limits": {"api": 60}}, "limits.api", "is a mapping"),
        ({"limits": {"api": {"count": 60, "per": "soon"}}}, "limits.api", "no duration"),
        ({"limits": {"api": {"count": 60, "per": "1m", "burst": 0}}}, "limits.api", "burst must be"),
        ({"breakers": {"down": {"when_open": "hope"}}}, "breakers.down", "'wait' or 'fail'"),
        ({"breakers": {"down": {"failures": 1.5}}}, "breakers.down", "whole number"),
        ({"quotas": {"gpu": 1}}, "quotas", "is a list"),
        ({"pools": {"gpu": 1}, "quotas": [{"pool": "gpus", "per": "a", "at_most": 1}]}, r"\$", "did you mean 'gpu'"),
        ({"pools": {"gpu": 1}, "limits": {"gpu": {"count": 1, "per": 1}}}, r"\$", "two of the name 'gpu'"),
        ({"weights": {"gold": 0}}, r"\$", "weights.gold"),
    ],
)
def test_each_mistake_is_named_with_its_place(said: Any, place: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=why) as caught:
        resources_of(said, "r.yaml")
    assert caught.match(place)


def test_what_python_says_wrongly_is_refused_too() -> None:
    """Where it is written, with the name of the thing."""
    with pytest.raises(BadInput, match="rate limit 'x': per"):
        RateLimit("x", 1, per="")
    with pytest.raises(BadInput, match="breaker 'x': within"):
        Breaker("x", within=-1)
    with pytest.raises(BadInput, match="share"):
        Resources(share="")


def noop() -> None: ...


def test_graphs_say_what_their_steps_need() -> None:
    """In a file, with the builder, and again in what is written of them."""
    said = {
        "name": "g",
        "steps": [
            {"id": "a", "run": f"{__name__}:noop", "needs": {"gpu": 1}, "breaker": "payments"},
            {"id": "b", "run": f"{__name__}:noop"},
        ],
        "flow": {"transitions": [{"from": "a", "to": "b"}]},
    }
    graph = load_graph(said)
    built = Graph("g").step("a", noop, needs={"gpu": 1}, breaker="payments").step("b", noop).edge("a", "b")
    for one in (graph, load_graph(built.to_json()), load_graph(graph.to_json())):
        spec = one.plan.steps[0].spec
        assert spec is not None
        assert spec.needs is not None
        assert (dict(spec.needs.units), spec.needs.breaker) == ({"gpu": 1}, "payments")
        assert one.plan.steps[1].spec is not None
        assert one.plan.steps[1].spec.needs is None
    said["steps"][0]["needs"] = {"gpu": "one"}  # type: ignore[index]
    with pytest.raises(DefinitionError, match=r"steps\[0\].*needs.gpu must be a whole number"):
        load_graph(said)
