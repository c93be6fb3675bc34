"""Every number of every command has a least and a most."""

from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import Result

from scorer import threads
from scorer.cli import tweetscore
from scorer.cli.common_options import Number
from scorer.threads import Bounds, available_cpus

Invoke = Callable[..., Result]
NUMERIC = (click.types.IntParamType, click.types.FloatParamType, Number)

# What each command needs beside the option, so that nothing else is wrong with the call.
NEEDED = {
    "run": ["a.csv"],
    "table": ["duckdb:///a.duckdb", "--table", "a", "--into", "b"],
    "text": ["fine"],
    "verify": ["a.scored.csv"],
    "doctor": [],
    "model train": ["-o", "checkpoint"],
    "model export": ["checkpoint", "-o", "bundle"],
    "model check": ["bundle"],
}


def all_commands(
    command: click.Command = tweetscore, name: str = ""
) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from all_commands(found, f"{name} {below}".strip())


def numbers() -> list[tuple[str, click.Parameter]]:
    return [
        (name, param)
        for name, command in all_commands()
        for param in command.params
        if isinstance(param.type, NUMERIC)
    ]


def test_every_number_has_both_bounds() -> None:
    """No command takes a number whose bounds are not in `scorer.threads`."""
    named = {each for each in vars(threads).values() if isinstance(each, Bounds)}
    without = [
        (name, param.opts)
        for name, param in numbers()
        if not isinstance(param.type, Number) or param.type.bounds not in named
    ]
    assert without == []
    assert {name for name, _ in numbers()} == set(NEEDED)


def beyond(limits: Bounds) -> list[str]:
    """Return what lies just outside, far outside, or is no number."""
    step = 1 if limits.whole else 1e-9
    least = limits.least if limits.above else limits.least - step
    most = limits.most_here if limits.below else limits.most_here + (1 if limits.whole else 1e-3)
    return [str(most), str(least), "9" * 5000, "nan"]


@pytest.mark.parametrize(
    ("command", "param"),
    [pytest.param(*each, id=f"{each[0]} {each[1].name}") for each in numbers()],
)
def test_beyond_the_bounds_is_a_line_that_names_option_value_and_range(
    invoke: Invoke, command: str, param: click.Parameter
) -> None:
    """A number that is too large, too small or none exits with 2 before anything is done."""
    assert isinstance(param.type, Number)
    option, limits = param.opts[0], param.type.bounds
    for value in beyond(limits):
        result = invoke(*command.split(), *NEEDED[command], f"{option}={value}")
        (line,) = result.stderr.splitlines()
        assert result.exit_code == 2
        assert line == f"tweetscore: {option}: {limits.complaint(value)}"
        assert f"{limits.most_here:,}" in line


@pytest.mark.parametrize("limits", [each[1].type.bounds for each in numbers()])  # type: ignore[attr-defined]
def test_the_bounds_themselves_are_within(limits: Bounds) -> None:
    """The least and the most are numbers that one may ask for, unless they are said not to be."""
    assert limits.holds(limits.least) != limits.above
    assert limits.holds(limits.most_here) != limits.below
    assert limits.parse(str(limits.least)) == (None if limits.above else limits.least)


@pytest.mark.parametrize(
    "text",
    [
        *("", " 5", "5 ", "5\n", "1_0", "1,0", "0x5", "five", "--5", "5%"),
        *("٣", "\N{FULLWIDTH DIGIT FIVE}", "inf", "-inf", "nan", "NaN", "Infinity", "1e400"),
        *("9" * 400, "9" * 5000, str(2**63)),
    ],
    ids=lambda text: repr(text[:9]),
)
def test_what_people_do_not_write_is_no_number(text: str) -> None:
    """Python reads blanks, underscores, digits of other scripts and infinity; bounds do not."""
    assert threads.ROWS.parse(text) is None
    assert threads.SECONDS.parse(text) is None
    assert threads.ROWS.parse("1e3") is None  # a whole number is written in digits


@pytest.mark.parametrize(
    ("text", "number"), [("1e2", 100.0), (".5", 0.5), ("5.", 5.0), ("+3", 3.0), ("-0", 0.0)]
)
def test_a_number_with_a_fraction_may_be_written_in_several_ways(text: str, number: float) -> None:
    """Decimals are read as Python writes them, too."""
    assert threads.SECONDS.parse(text) == number


def test_threads_are_bounded_by_the_cpus(invoke: Invoke) -> None:
    """Four for each CPU that the process may use are the most, as the help says."""
    most = 4 * available_cpus()
    assert threads.THREADS.parse(str(most)) == most
    assert threads.THREADS.parse(str(most + 1)) is None
    shown = " ".join(invoke("run", "--help-all").stdout.split())
    assert "[from 1 to 4 for each CPU]" in shown


def test_one_fold_is_none(invoke: Invoke) -> None:
    """Folds are none at all, or several."""
    assert [n for n in range(-1, 22) if threads.FOLDS.holds(n)] == [0, *range(2, 21)]
    result = invoke("model", "train", "-o", "x", "--distill-folds", "1")
    assert "'1' is not a whole number that is 0, or from 2 to 20" in result.stderr
