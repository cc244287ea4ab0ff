"""`actum run`, `resume`, `executions` and `events`, as scripts rely on them."""

from __future__ import annotations

from .commands import Shell


def test_run_prints_the_id_first_and_leaves_with_zero(actum: Shell) -> None:
    """A script can read the execution's id from the first line, and success from the exit code."""
    ended = actum("run", "flows:twice", "--id", "a", "--input", "21")

    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0] == "a"
    assert "42" in ended.out


def test_run_as_json_is_one_document(actum: Shell) -> None:
    """With --json there is one JSON document on stdout, of the promised shape."""
    answer = actum("run", "flows:twice", "--id", "a", "--input", "21", "--json").json()

    assert answer == {"id": "a", "status": "completed", "output": 42, "error": None, "events": 4}


def test_a_failed_execution_leaves_with_one(actum: Shell) -> None:
    """The answer "it failed" is exit code 1, with the error's type and text."""
    ended = actum("run", "flows:never", "--input", "5", "--json")

    assert ended.code == 1
    assert ended.json()["status"] == "failed"
    assert ended.json()["error"] == {"type": "ValueError", "message": "step 'refuse': 5 will not do"}


def test_the_same_id_again_starts_nothing(actum: Shell) -> None:
    """An id that has ended gives its recorded result, and is refused for another input; nothing is written."""
    first = actum("run", "flows:twice", "--id", "a", "--input", "21", "--json").json()
    again = actum("run", "flows:twice", "--id", "a", "--input", "21", "--json").json()
    other = actum("run", "flows:twice", "--id", "a", "--input", "99", "--json")

    assert again == first
    assert (other.code, "with another input" in other.err) == (2, True)


def test_no_wait_records_the_start_and_resume_finishes(actum: Shell) -> None:
    """What was only started is finished by `actum resume`, in another process."""
    started = actum("run", "flows:twice", "--id", "a", "--input", "21", "--no-wait", "--json").json()
    resumed = actum("resume", "--json").json()

    assert started["status"] == "running"
    assert [(one["id"], one["status"], one["output"]) for one in resumed["resumed"]] == [("a", "completed", 42)]


def test_input_comes_from_a_file_or_from_stdin(actum: Shell) -> None:
    """--input takes JSON, @FILE, or - for stdin."""
    (actum.folder / "n.json").write_text("4")

    assert actum("run", "flows:twice", "--input", "@n.json", "--json").json()["output"] == 8
    assert actum("run", "flows:twice", "--input", "-", "--json", input_="5").json()["output"] == 10


def test_wrong_use_is_two_and_writes_nothing(actum: Shell) -> None:
    """Bad input gets one clear sentence and exit code 2, and there is no store afterwards."""
    cases = (
        (("run", "flows:twicee", "--input", "1"), "did you mean 'twice'"),
        (("run", "flows:not_one"), "its type is int"),
        (("run", "nowhere:x"), "cannot be imported"),
        (("run", "nothing.json"), "nothing.json"),
        (("run", "flows:twice", "--input", "{"), "not JSON"),
        (("run", "flows:twice", "--input", "@none.json"), "none.json"),
        (("executions", "list"), "there is no store"),
    )
    for words, said in cases:
        ended = actum(*words)
        assert (ended.code, ended.out) == (2, ""), (words, ended)
        assert said in ended.err, (words, ended.err)
    assert not (actum.folder / "actum.db").exists()


def test_a_wrongly_typed_input_is_refused_before_anything_is_written(actum: Shell) -> None:
    """The input is held against the workflow's annotation first."""
    actum("run", "flows:twice", "--id", "a", "--input", "1")

    ended = actum("run", "flows:twice", "--id", "b", "--input", '{"m": 1}')

    assert actum("executions", "list", "--json").json()["executions"][0]["id"] == "a" or ended.code == 1


def test_a_store_that_cannot_be_used_is_three(actum: Shell) -> None:
    """A store that is a directory, or of another kind, is exit code 3, and is left as it was."""
    (actum.folder / "dir.db").mkdir()
    (actum.folder / "text.db").write_text("this is not a database" * 100)

    for name, said in (("dir.db", "is a directory"), ("text.db", "is not a database")):
        ended = actum("run", "flows:twice", "--input", "1", store=f"sqlite:///{name}")
        assert ended.code == 3, ended
        assert said in ended.err
    assert (actum.folder / "text.db").read_text() == "this is not a database" * 100


def test_a_parked_execution_says_why_and_goes_on_when_a_person_says_so(actum: Shell) -> None:
    """A step that may not be repeated parks the execution; resuming it by name is the person's decision."""
    assert actum("run", "flows:once", "--id", "p", "--input", "1").code == -9

    parked = actum("resume", "p")
    shown = actum("executions", "show", "p", "--json").json()

    assert parked.code == 1
    assert "in doubt" in parked.out + parked.err
    assert shown["status"] == "parked"
    assert actum("resume", "--json").json() == {"resumed": [], "refused": {}}
    assert actum("resume", "p").code == -9  # the person said: run it again


def test_show_at_an_event_is_the_state_as_of_then(actum: Shell) -> None:
    """State is a fold: --at N shows what was so after event N, and nothing later."""
    actum("run", "flows:never", "--id", "a", "--input", "5")

    then = actum("executions", "show", "a", "--at", "2", "--json").json()
    now = actum("executions", "show", "a", "--json").json()

    assert (then["status"], then["as_of"], then["error"]) == ("running", 2, None)
    assert [step["status"] for step in then["steps"]] == ["completed"]
    assert (now["status"], now["error"]["type"]) == ("failed", "ValueError")
    assert actum("executions", "show", "a", "--at", "99").code == 2


def test_show_and_metrics_say_what_was_used(actum: Shell) -> None:
    """From the log; a cost that one step did not state is unknown, and in no mean."""
    actum("run", "flows:spends", "--id", "a", "--input", "[1000000, 500000]")
    actum("run", "flows:spends", "--id", "b", "--input", "[1000000, null]")

    known = actum("executions", "show", "a", "--json").json()["used"]
    unknown = actum("executions", "show", "b", "--json").json()["used"]
    counted = actum("metrics", "--json").json()["metrics"]

    assert known == {"input_tokens": 200, "output_tokens": 4, "cost_nanousd": 1_500_000}
    assert unknown == {"input_tokens": 200, "output_tokens": 4}
    assert "200 tokens in, 4 out, $0.001500" in actum("executions", "show", "a").out
    assert "cost unknown (asks has not said)" in actum("executions", "show", "b").out
    assert (counted["tokens_per_execution"]["total"], counted["tokens_per_execution"]["executions"]) == (408, 2)
    assert counted["cost_per_success"]["total_nanousd"] == 1_500_000


def test_an_unknown_execution_is_named_with_a_near_miss(actum: Shell) -> None:
    """A mistyped id gets the one that was probably meant."""
    actum("run", "flows:twice", "--id", "order-17", "--input", "1")

    ended = actum("executions", "show", "order-71")

    assert ended.code == 2
    assert "did you mean 'order-17'" in ended.err


def test_events_list_shows_the_log_in_order(actum: Shell) -> None:
    """Positions are dense from 0, and JSON carries header, payload value and leaf."""
    actum("run", "flows:twice", "--id", "a", "--input", "21")

    events = actum("events", "list", "--json").json()["events"]

    assert [event["position"] for event in events] == list(range(len(events)))
    assert [e["type"] for e in events if e["stream"] == "execution/a"] == [
        "execution.started",
        "step.started",
        "step.completed",
        "execution.completed",
    ]
    assert events[-1]["value"] == {"output": 42}
    assert actum("events", "list", "a", "--type", "step.complted").code == 2


def test_listings_filter(actum: Shell) -> None:
    """executions list takes a workflow and a status."""
    actum("run", "flows:twice", "--id", "a", "--input", "1")
    actum("run", "flows:never", "--id", "b", "--input", "1")

    def ids(*words: str) -> list[str]:
        return [row["id"] for row in actum("executions", "list", *words, "--json").json()["executions"]]

    assert ids() == ["b", "a"]
    assert ids("--status", "failed") == ["b"]
    assert ids("--workflow", "twice") == ["a"]


def test_asking_twice_for_a_start_starts_once(actum: Shell) -> None:
    """`run --no-wait` of an id that is there records nothing more, says so, and answers with how that execution is."""
    first = actum("run", "flows:twice", "--id", "a", "--input", "21", "--no-wait")
    again = actum("run", "flows:twice", "--id", "a", "--input", "21", "--no-wait")

    assert (first.code, again.code) == (0, 0), again.err
    assert "1 event" in first.out
    assert "1 events" not in first.out
    assert "nothing was started" in again.err
    assert len(actum("events", "list", "a", "--json").json()["events"]) == 1


def test_events_are_not_cut_off_on_a_narrow_screen(actum: Shell) -> None:
    """Types and instants stay whole, facts fold, and of a digest the beginning is shown."""
    actum("run", "flows:twice", "--id", "a", "--input", "21")

    wide = actum("events", "list", "a").out
    narrow = actum("events", "list", "a", columns=100).out

    assert "execution.completed" in wide
    assert "execution.completed" in narrow
    assert narrow.count("…") == wide.count("…") == 1
    assert "definition=sha256:" in wide
    digest = next(fact for fact in wide.split() if fact.startswith("definition="))
    assert len(digest) == len("definition=sha256:012345…")
