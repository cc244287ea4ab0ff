"""Which test shows which promise of the engine and its store (design, section 1); a promise without a test is a hope.

P1  Nothing acknowledged is lost            a kill at every append; a commit cut off anywhere; every connection flushes
P2  Nothing is changed unseen               every byte, and everything moved, removed or added, in files and in memory
P3  State is a fold                         memory and views against the log at every event of every simulation
P4  One order, no gaps                      writers and readers at once, in threads and in processes
P5  Recorded before and after               the journal of the killed; every effect of every simulation; steps in doubt
P6  One owner                               engines taken for dead that live on; two processes that recover at once
P7  Undone in reverse                       every log of every test (`sound`), killed in the middle of it too
P8  No approval, no step                    guarded steps in simulations; the guarded step of the killed
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
CRASH: Final = "engine/test_crash.py test_a_kill_at_any_append_changes_nothing"
AGAIN: Final = "engine/test_crash.py test_a_kill_during_recovery_changes_nothing"
FUNCTION: Final = "engine/test_simulation.py test_a_durable_function_ends_as_if_nothing_had_gone_wrong"
GRAPH: Final = "engine/test_simulation.py test_a_graph_ends_as_if_nothing_had_gone_wrong"

PROMISES: Final = {
    "P1": (
        CRASH,
        AGAIN,
        "eventstore/test_disk.py test_a_commit_cut_off_anywhere_costs_nothing_that_was_acknowledged",
        "eventstore/test_disk.py test_a_commit_written_in_any_order_costs_nothing_that_was_acknowledged",
        "eventstore/sqlite/test_store.py test_every_connection_flushes_every_commit",
        "eventstore/sqlite/test_processes.py test_what_was_acknowledged_survives_a_kill",
        "conformance/test_store_append.py test_what_was_acknowledged_is_there_after_reopening",
    ),
    "P2": (
        "eventstore/check/test_bytes.py test_every_byte_is_watched",
        "eventstore/check/test_changed.py test_a_changed_header_is_found_in_a_forged_tree_too",
        "eventstore/check/test_moved.py test_a_deleted_event_is_found",
        "eventstore/check/test_moved.py test_two_swapped_events_are_found",
        "eventstore/check/test_moved.py test_a_forged_event_in_place_of_a_true_one_is_found",
        "eventstore/check/test_moved.py test_a_deleted_tail_with_all_forged_is_found_by_a_checkpoint",
        "eventstore/sqlite/test_store.py test_the_database_itself_refuses_changes",
    ),
    "P3": (FUNCTION, GRAPH, "eventstore/check/test_beside.py test_a_changed_view_is_found"),
    "P4": (
        "conformance/test_store_order.py test_writers_and_readers_at_once_agree_on_one_dense_order",
        "conformance/test_store_order.py test_a_reader_never_sees_half_a_batch",
        "eventstore/sqlite/test_processes.py test_two_processes_write_one_log",
    ),
    "P5": (
        CRASH,
        AGAIN,
        FUNCTION,
        GRAPH,
        "engine/runtime/test_in_doubt.py test_a_step_in_doubt_is_verified_by_its_hook",
        "engine/runtime/test_in_doubt.py test_a_dangerous_step_in_doubt_parks_the_execution",
    ),
    "P6": (
        FUNCTION,
        GRAPH,
        "engine/test_crash.py test_two_that_recover_at_once_are_one",
        "engine/runtime/test_interference.py test_a_worker_that_lost_its_execution_records_nothing",
        "engine/runtime/test_resuming.py test_what_a_living_worker_runs_is_left_to_it",
    ),
    "P7": (
        CRASH,
        FUNCTION,
        GRAPH,
        "engine/runtime/test_failures.py test_a_failing_workflow_undoes_what_it_did",
        "engine/runtime/test_failures.py test_a_compensation_is_tried_three_times_then_named",
    ),
    "P8": (
        CRASH,
        FUNCTION,
        GRAPH,
        "engine/runtime/test_people.py test_an_approval_waits_for_a_person",
        "engine/runtime/test_people.py test_silence_is_no_at_the_deadline",
    ),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_shown_by_tests_that_are_there(promise: str) -> None:
    """A test that is renamed or removed must not leave a promise behind that nothing shows."""
    for shown in PROMISES[promise]:
        path, _, name = shown.partition(" ")
        tests = {node.name for node in ast.parse((TESTS / path).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert name in tests, f"{promise} is said to be shown by {shown}"
