"""Thousands of damaged NDJSON files, each against a reader that shares no code with ours."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from scorer.errors import TweetscoreError
from scorer.formats.open import open_source
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.formats.files_helpers import SCHEMA
from tests.handles import handle_of
from tests.hostile.csv_factory import compressed, outcome, watchdog
from tests.hostile.mutators import CODES
from tests.hostile.ndjson_factory import KINDS, Kind, expected, mutant
from tests.reports import report_json
from tests.stubs import StubClassifier


def check(path: Path, kind: Kind, content: bytes) -> bool:
    """Compare one file's outcome with the reference's; return whether it was scored."""
    path.write_bytes(content)
    out = path.with_name(f"out{kind.extension}")
    out.unlink(missing_ok=True)
    wanted = expected(content, kind)
    got = error = None
    try:
        with watchdog(1.0):
            source = open_source(path)
            source.check_output_schema(SCHEMA)
            got = outcome(source, out, kind.extension)
    except TweetscoreError as raised:
        error = raised
    assert got == wanted, error
    assert error is None or error.exit_code in CODES
    return error is None


def mutants(number: int) -> list[tuple[Kind, bytes]]:
    found = []
    for seed in range(number):
        rng = random.Random(seed)  # noqa: S311 - no secret
        kind = KINDS[seed % len(KINDS)]
        found.append((kind, mutant(kind, rng)))
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_sound_file_of_each_kind_is_read_as_the_reference_reads_it(
    kind: Kind, tmp_path: Path
) -> None:
    """Mutation starts from files that are scored in full."""
    content = compressed(kind.content(), kind.extension)
    wanted = expected(content, kind)
    assert wanted is not None
    assert (len(wanted.texts), wanted.rejects) == (26, [])
    assert check(tmp_path / f"in{kind.extension}", kind, content)


def test_some_mutants_of_each_kind(tmp_path: Path) -> None:
    """A damaged file is scored as the reference reads it, or refused with a code of the table."""
    run(tmp_path, 160)


def test_mutants_in_the_pipeline(tmp_path: Path) -> None:
    """A run ends with an output and counters that add up, or with an error of the table."""
    through_the_pipeline(tmp_path, mutants(64))


@pytest.mark.ci
@pytest.mark.long
@pytest.mark.timeout(0)  # every file has a watchdog of its own
def test_thousands_of_mutants(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """No mutant gives a traceback, takes a second, loses a line or changes a byte."""
    number = count(5_000, 100_000)
    run(tmp_path, number)
    through_the_pipeline(tmp_path, mutants(number)[::10])


def through_the_pipeline(directory: Path, files: list[tuple[Kind, bytes]]) -> None:
    scored = 0
    for number, (kind, content) in enumerate(files):
        (path := directory / f"{number}{kind.extension}").write_bytes(content)
        wanted = expected(content, kind)
        options = RunOptions.of((path,), max_rejects=1000)
        error: TweetscoreError | None = None
        with watchdog(1.0 if number else 5.0):  # the first one loads libraries
            try:
                [result] = pipeline.run(options, model=handle_of(StubClassifier()))
                error = result.error
            except TweetscoreError as raised:  # an error in the call
                error = raised
        assert (error is None) == (wanted is not None), f"file {number}: {error}"
        if wanted is None:
            assert error is not None
            assert error.exit_code in CODES
            continue
        scored += 1
        counters = report_json(result)["counters"]
        assert counters["rows"] == counters["scored"] + counters["blank"] == len(wanted.texts)
        assert counters["rejected"] == len(wanted.rejects)
        assert counters["read"] == counters["rows"] + counters["rejected"]
    assert 0 < scored < len(files)


def run(directory: Path, number: int) -> None:
    scored = rejects = 0
    for seed, (kind, content) in enumerate(mutants(number)):
        try:
            scored += check(directory / f"in{kind.extension}", kind, content)
        except BaseException as error:
            error.add_note(f"mutant {seed} of kind {kind.name}")
            raise
        wanted = expected(content, kind)
        rejects += bool(wanted and wanted.rejects)
    assert number // 4 < scored < number  # the damage is neither fatal nor harmless
    assert rejects > number // 8
