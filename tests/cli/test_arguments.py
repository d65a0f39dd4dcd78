"""How a command line is read: GNU's habits, each wrong word told."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm import _entry
from pypm._verbs import OUTPUT_OPTIONS, TAKE_OUTPUT, VERBS
from pypm.cli.arguments import (
    Command,
    Gathered,
    Group,
    UsageError,
    Words,
    argument,
    group_text,
    help_text,
    option,
    read,
    verb,
)


def place(host: str | None, port: int) -> str:
    return f"{host}:{port}"


@verb(
    option("-q", "--quiet", help="Say less."),
    option("-v", "--verbose", help="Say more."),
    option("-p", "--member", name="members", metavar="NAME", many=True, help="This one."),
    option("--form", choices=("text", "json"), default="text", help="How."),
    option("-d", "--depth", least=0, help="How far."),
    Gathered(
        "where",
        place,
        (option("--host", metavar="H", help="Where."), option("--port", least=1, default=80, help="There.")),
    ),
    argument("names", required=False, many=True),
    Words("words"),
)
def show(**values: Any) -> int:
    """Shows.

    And
    shows.
    """
    return len(values)


@verb(
    option("-f", "--frozen", help="As it is."), argument("task", required=False), argument("rest", rest=True)
)
def run(**values: Any) -> int:
    """Runs."""
    return 7


def values(text: str) -> dict[str, Any]:
    found = read(show, text.split())
    assert found is not None
    return found


def test_what_is_not_given_has_its_default() -> None:
    assert values("") == {
        "quiet": False,
        "verbose": False,
        "members": (),
        "form": "text",
        "depth": None,
        "where": "None:80",
        "names": (),
        "words": [],
    }


@pytest.mark.parametrize(
    "text", ["-p a -p b", "--member a --member=b", "-pa -pb", "-p a -- ", "--member=a -p b"]
)
def test_values_follow_or_are_joined(text: str) -> None:
    assert values(text)["members"][0] == "a" and set(values(text)["members"]) <= {"a", "b"}


def test_flags_of_one_letter_are_joined_and_a_value_may_end_them() -> None:
    found = values("-qvp a x")
    assert found["quiet"] and found["verbose"] and found["members"] == ("a",) and found["names"] == ("x",)
    assert values("-qd3")["depth"] == 3


def test_options_stand_anywhere_and_two_dashes_end_them() -> None:
    found = values("x --quiet y -- --verbose -p")
    assert found["quiet"] and not found["verbose"] and found["names"] == ("x", "y", "--verbose", "-p")
    assert found["words"] == ["x", "--quiet", "y", "--", "--verbose", "-p"]


def test_gathered_options_arrive_as_one_value() -> None:
    assert values("--host h --port 8")["where"] == "h:8"


def test_an_empty_value_is_a_value() -> None:
    assert read(show, ["--host", ""]) is not None and values("--host=")["where"] == ":80"


def test_the_rest_is_another_commands() -> None:
    found = read(run, ["-f", "python", "-f", "--frozen", "--", "-c", "x"])
    assert found == {"frozen": True, "task": "python", "rest": ("-f", "--frozen", "--", "-c", "x")}
    assert read(run, ["--", "-x", "y"]) == {"frozen": False, "task": "-x", "rest": ("y",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--quite", "no such option: --quite (did you mean --quiet?)"),
        ("-x", "no such option: -x"),
        ("-qx", "no such option: -x"),
        ("--member", "--member needs a value: NAME"),
        ("-p", "-p needs a value: NAME"),
        ("--quiet=yes", "--quiet takes no value"),
        ("--form xml", "--form takes one of text, json, not 'xml'"),
        ("-d many", "-d takes a whole number from 0 on, not 'many'"),
        ("--port 0", "--port takes a whole number from 1 on, not '0'"),
        ("-d -1", "-d takes a whole number from 0 on, not '-1'"),
    ],
)
def test_wrong_words_are_told(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read(show, text.split())
    assert str(error.value).startswith(said)


def test_missing_and_surplus_words_are_told() -> None:
    one = verb(argument("name"))(lambda name: 0)
    with pytest.raises(UsageError, match="NAME is missing"):
        read(one, [])
    with pytest.raises(UsageError, match="unexpected argument: b"):
        read(one, ["a", "b"])
    with pytest.raises(UsageError, match="REST is missing"):
        read(run, ["task"])


def test_help_is_asked_for_anywhere_but_in_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert read(show, ["x", "--help", "--nonsense"]) is None
    assert run.main("pypm run", ["--help"]) == 0 and capsys.readouterr().out == help_text("pypm run", run)
    assert run.main("pypm run", ["a", "--help"]) == 7
    text = help_text("pypm show", show)
    assert "usage: pypm show [OPTIONS] [NAMES]...\n\n  Shows.\n\n  And shows.\n" in text
    assert "  --form text|json   How." in text and "  -d, --depth N " in text


def test_a_group_gives_options_before_the_word_to_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    group = Group("Both.", {"show": show, "run": run})
    assert group.main("pypm g", ["--quiet", "show", "x"]) == 8
    assert group.main("pypm g", ["--help"]) == 0 and group.main("pypm g", []) == 2
    assert capsys.readouterr().out == group_text("pypm g", group) * 2
    with pytest.raises(UsageError, match="no such command: pypm g frob"):
        group.main("pypm g", ["--quiet", "frob"])


def test_a_value_of_an_option_is_not_a_groups_command() -> None:
    group = Group("Both.", {"show": show, "run": run})
    assert group.main("pypm g", ["--host", "run", "show", "x"]) == show.main(
        "pypm g show", ["--host", "run", "x"]
    )
    for words in (["--host", "run", "frob"], ["--host=run", "frob", "show"], ["frob", "show", "x"]):
        with pytest.raises(UsageError, match="no such command: pypm g frob"):
            group.main("pypm g", words)


@given(
    st.lists(st.sampled_from(["-q", "-p", "--", "x", "--form=json", "-d", "3", "-", "", "--port", "-p=a"]))
)
def test_any_words_give_values_or_a_usage_error(words: list[str]) -> None:
    try:
        found = read(show, words)
    except UsageError as error:
        assert str(error)
    else:
        assert found is not None and found["words"] == words


def test_the_verbs_that_write_a_file_are_known_before_they_are_loaded() -> None:
    found = set()
    for name, (module, _) in VERBS.items():
        if name in ("help", "version"):
            continue
        command = importlib.import_module(f"pypm.cli.verbs.{module}").command
        if isinstance(command, Command) and any(each.flags == OUTPUT_OPTIONS for each in command.options):
            found.add(name)
    assert found == TAKE_OUTPUT


@pytest.mark.parametrize("before", [["-o", "x"], ["-ox"], ["--output", "x"], ["--output=x"]])
def test_where_to_write_may_stand_before_the_verb(before: list[str]) -> None:
    words = ["-q", *before, "--python", "3.12", "pypylock", "--frozen"]
    assert _entry._split(words) == (["-q", *before, "--python", "3.12"], "pypylock", ["--frozen"])


def test_where_to_write_stands_before_no_other_verb(capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["-o", "x", "lock"], ["-o", "x", "nothing"], ["-o", "pypylock"], ["-o"]):
        assert _entry.main(words) == 2
        assert capfd.readouterr().err.startswith("error[usage]: no such option: -o\n")
