"""Cells run in alternation, slow ones once; operations are those of the pruned graph."""

from benchmarks.cells import (
    CONTENDERS,
    MINILM,
    SLOW_SECONDS,
    Cell,
    cold_cells,
    in_alternation,
    main_cells,
)

CELLS = [
    Cell(MINILM, CONTENDERS[name], 10, 2) for name in ("tweetscore-auto", "pipeline", "optimum")
]


def order(seconds: dict[str, float | None]) -> list[tuple[str, int]]:
    planned = in_alternation(CELLS, lambda cell: seconds.get(cell.contender.name, 1.0), 3)
    return [(cell.contender.name, number) for cell, number in planned]


def test_rounds_alternate() -> None:
    """A B C, A B C, A B C: not three times A."""
    names = [cell.contender.name for cell in CELLS]
    assert order({}) == [(name, number) for number in (1, 2, 3) for name in names]


def test_what_is_slow_or_fails_runs_once() -> None:
    """Whoever took long enough has had its turn; a failure is not repeated."""
    planned = order({"pipeline": SLOW_SECONDS + 1, "optimum": None})
    assert [name for name, number in planned if number > 1] == ["tweetscore-auto"] * 2


def test_tweetscore_runs_every_round_however_slow() -> None:
    """Its spread is what the bars are about."""
    planned = order({"tweetscore-auto": 10 * SLOW_SECONDS})
    assert [number for name, number in planned if name == "tweetscore-auto"] == [1, 2, 3]


def test_the_plan_asks_for_seconds_only_when_a_round_begins() -> None:
    """What a first round took is not known before it has been run."""
    measured: set[str] = set()

    def seconds(cell: Cell) -> float:
        assert cell.name in measured
        return 1.0

    for cell, _ in in_alternation(CELLS, seconds, 2):
        measured.add(cell.name)


def test_no_two_cells_have_one_name() -> None:
    """The table's, the cold start's and another number of threads are kept apart."""
    cells = [*main_cells(MINILM, 10, 2), *main_cells(MINILM, 10, 1), *cold_cells(MINILM, 2)]
    assert len({cell.name for cell in cells}) == len(cells)


def test_pruned_operations_are_those_of_the_graph() -> None:
    """One layer alone: keys and values of all tokens, and the rest for one token per text."""
    square = MINILM.width**2
    whole = 24 * (MINILM.layers - 1) * square
    assert MINILM.dense_flops(tokens=7, texts=0) == 7 * (whole + 4 * square)
    assert MINILM.dense_flops(tokens=1, texts=1) == MINILM.layers * 24 * square
