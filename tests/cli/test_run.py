import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from scorer.errors import DataError
from scorer.monitor.report_types import Outcome
from scorer.run import pipeline
from scorer.store.lock import locked

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}


def test_run_writes_the_scores_and_one_summary_line(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """A good run exits 0, says one line on stderr, and leaves the ids as they were."""
    result = invoke("run", tweets, "--model", tiny_bert_bundle, env=CPU)
    assert (result.exit_code, result.stdout) == (0, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"tweetscore: {tweets.parent / 'tweets.scored.csv'}: 3 rows: ")
    assert re.search(
        r": \d negative.*, \d neutral.*, \d positive.*; 1 blank; in [\d.]+ s \(\d+ ", line
    )
    assert line.endswith(" rows/s) on CPU fp32")
    scored = pl.read_csv(tweets.parent / "tweets.scored.csv", infer_schema=False)
    assert scored.columns == ["id", "text", "label", "score"]
    assert scored["id"].to_list() == ["007", "008", "009"]
    assert scored["label"].null_count() == 1


def test_quiet_is_silent(invoke: Invoke, tweets: Path, tiny_bert_bundle: Path) -> None:
    """With -q a good run prints nothing at all."""
    result = invoke("run", "-q", tweets, "--model", tiny_bert_bundle, env=CPU)
    assert (result.exit_code, result.output) == (0, "")


def test_a_run_that_was_taken_up_says_what_was_done_already(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill during the publication the next run has nothing to score, and prints so."""

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    words = ("run", tweets, "--device", "builtin", "--model", tiny_bert_bundle)
    with monkeypatch.context() as patch:
        patch.setattr("scorer.run.one_file.write_commit_record", kill)
        assert invoke(*words).exit_code == 130
    again = invoke(*words)
    assert again.exit_code == 0
    assert again.stderr.endswith(" on CPU fp32; 3 were done already\n")
    assert invoke(*words).stderr.endswith("tweets.scored.csv is up to date: 3 rows\n")


def test_a_growing_file_says_how_many_answers_were_reused(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """Or why nothing was; the new row is in the output."""
    words = ("run", tweets, "--device", "builtin", "--model", tiny_bert_bundle, "--id-column", "id")
    first = invoke(*words)
    assert first.stderr.endswith("; none taken over: there is no earlier output of ours\n")
    with tweets.open("a", encoding="utf-8") as file:
        file.write("010,so glad\n")
    again = invoke(*words)
    assert again.exit_code == 0
    assert "4 rows" in again.stderr
    assert again.stderr.endswith("; 2 taken over\n")
    scored = pl.read_csv(tweets.parent / "tweets.scored.csv", infer_schema=False)
    assert scored["id"].to_list() == ["007", "008", "009", "010"]


def test_an_id_column_that_is_not_there_is_one_line(invoke: Invoke, tweets: Path) -> None:
    """Exit code 65, before the model is opened."""
    result = invoke("run", tweets, "--id-column", "tweet_id")
    assert result.exit_code == 65
    (line,) = result.stderr.splitlines()
    assert "has no column 'tweet_id', only: id, text; try: tweetscore run" in line
    assert line.rstrip().endswith(" --id-column id")
    assert not (tweets.parent / "tweets.scored.csv").exists()


def test_columns_are_named_as_asked(invoke: Invoke, tweets: Path, tiny_bert_bundle: Path) -> None:
    """Names of labels and columns change, the columns per class keep the model's names."""
    result = invoke(
        "run", tweets, "-o", tweets.parent / "out.csv", "--scores", "all", "--limit", "1",
        "--label-names", "Negativo, Neutro, Positivo", "--label-column", "clase",
        "--score-column", "p", "--model", tiny_bert_bundle, env=CPU,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    scored = pl.read_csv(tweets.parent / "out.csv", infer_schema=False)
    assert scored.columns == [
        "id", "text", "clase", "p", "score_negative", "score_neutral", "score_positive",
    ]  # fmt: skip
    assert scored.height == 1
    assert scored["clase"][0] in ("Negativo", "Neutro", "Positivo")
    assert scored["p"][0] == max(scored.row(0)[4:], key=float)


def test_the_report_has_the_canary_and_the_provider(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """Every night proves itself: what ran, and how far its answers are from PyTorch's."""
    invoke("run", tweets, "--model", tiny_bert_bundle, env=CPU)
    report = json.loads(
        (tweets.parent / ".tweetscore/tweets.scored.csv.run.json").read_text("utf-8")
    )
    assert report["runtime"]["provider"] == "CPUExecutionProvider"
    assert report["canary"]["label_agreement"] == 1.0
    assert report["canary"]["largest_difference"] <= 1e-5
    assert len(report["model"]["digest"]) == 64


def test_options_can_be_set_in_the_environment(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """An option is TWEETSCORE_NAME in the environment, and the command line wins."""
    env = {**CPU, "TWEETSCORE_MODEL": str(tiny_bert_bundle), "TWEETSCORE_LABEL_COLUMN": "mood"}
    assert invoke("run", tweets, env=env).exit_code == 0
    assert "mood" in pl.read_csv(tweets.parent / "tweets.scored.csv").columns
    assert invoke("run", tweets, "--label-column", "tone", env=env).exit_code == 0
    assert "tone" in pl.read_csv(tweets.parent / "tweets.scored.csv").columns
    wrong = invoke("run", tweets, env={**env, "TWEETSCORE_CHUNK_ROWS": "many"})
    assert wrong.exit_code == 2
    assert "'many'" in wrong.stderr


def test_several_files_have_several_fates(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """The good files are scored; the exit code is that of the first bad one; one line for all."""
    bad = tweets.parent / "bad.csv"
    bad.write_text("nothing\nhere\n")
    broken = tweets.parent / "broken.csv"
    broken.write_text('text\n"open\n')
    result = invoke("run", bad, tweets, broken, "--model", tiny_bert_bundle, env=CPU)
    assert result.exit_code == 65
    assert [line.partition(": ")[2][:12] for line in result.stderr.splitlines()] == [
        f"{bad} has"[:12], f"{tweets}"[:12], "1 record so far"[:12],
        "1 file score",
    ]  # fmt: skip
    assert result.stderr.endswith("1 file scored (3 rows), 0 up to date, 2 failed\n")
    assert (tweets.parent / "tweets.scored.csv").exists()


FATES = [
    (ValueError("oops"), True, 65),
    (ValueError("oops"), False, 70),
    (KeyboardInterrupt(), True, 130),  # whoever sent it wants to see it
]


@pytest.mark.parametrize(("crash", "failed_before", "code"), FATES)
def test_a_crash_does_not_hide_the_first_failure(
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    crash: BaseException,
    failed_before: bool,
    code: int,
) -> None:
    """The lines come in order, and the exit code is the first failed file's."""
    bad = Outcome(Path("bad.csv"), Path("bad.scored.csv"), None, (), DataError("bad.csv is empty"))

    def stub_run(*_: Any, **__: Any) -> Iterator[Outcome]:
        if failed_before:
            yield bad
        raise crash

    monkeypatch.setattr(pipeline, "run", stub_run)
    result = invoke("run", "bad.csv", "good.csv")
    lines = result.stderr.splitlines()
    assert result.exit_code == code
    assert lines[:-1] == ["tweetscore: bad.csv is empty"] * failed_before
    assert lines[-1].startswith(("tweetscore: a bug of ours: ValueError", "tweetscore: interrupt"))


def test_failures_are_reported_though_the_model_does_not_load(invoke: Invoke, tweets: Path) -> None:
    """A missing file is named beside the model that is none, and comes first."""
    missing = tweets.parent / "missing.csv"
    result = invoke("run", tweets, missing, "--model", tweets.parent)
    first, second = result.stderr.splitlines()
    assert first.startswith(f"tweetscore: {missing} does not exist")
    assert "tweetscore.json cannot be read" in second
    assert result.exit_code == 66


def test_our_own_products_are_skipped_aloud(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """What a pattern matched and the run passed over is one line, and none with -q."""
    own = tweets.parent / "old.scored.csv"
    own.write_text("text,label,score\nhi,neutral,1\n")
    call = ["run", tweets, own, "--model", tiny_bert_bundle]
    line, *_ = invoke(*call, env=CPU).stderr.splitlines()
    assert line == f"tweetscore: warning: skipped, as tweetscore wrote them: {own}"
    assert invoke(*call, "-q", env=CPU).stderr == ""


def test_a_gpu_that_is_not_there_is_no_silent_cpu(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--device cuda on a box without a GPU exits 69 at once and publishes nothing."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = invoke("run", tweets, "--device", "cuda", "--model", tiny_bert_bundle)
    assert result.exit_code == 69
    assert "no CUDA device" in result.stderr
    assert not (tweets.parent / "tweets.scored.csv").exists()


@pytest.fixture
def many(tmp_path: Path, tweets: Path) -> Path:
    """Return a directory of twelve files, one of them broken, and one that is no input."""
    directory = tmp_path / "in"
    for number in range(12):
        path = directory / f"day={number % 2}" / f"{number:02}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tweets.read_bytes())
    path.write_text("nothing\nhere\n")
    (directory / "notes.txt").touch()
    return directory


def test_many_files_have_one_line_together(
    invoke: Invoke, many: Path, tiny_bert_bundle: Path
) -> None:
    """What fails is named; the rest is counted, unless each file is asked for, or silence."""
    call = ["run", many, "--model", tiny_bert_bundle]
    first = invoke(*call, env=CPU)
    failure, total = first.stderr.splitlines()
    assert failure.startswith(f"tweetscore: {many / 'day=1/11.csv'} has no column 'text'")
    line, skipped, labels = total.split("; ")
    assert line == "tweetscore: 11 files scored (33 rows), 0 up to date, 1 failed"
    assert skipped == "skipped: 1 of unknown extension"
    assert labels == "22 negative (100.0 %), 0 neutral (0.0 %), 0 positive (0.0 %)"
    assert first.exit_code == 65
    (many / "day=1/11.csv").unlink()
    assert invoke(*call, "-q", env=CPU).output == ""
    *each, total = invoke(*call, "-v", env=CPU).stderr.splitlines()
    assert len(each) == 11
    assert "negative" not in total
    assert "0 files scored (0 rows), 11 up to date, 0 failed" in total
    forced = invoke(*call, "--no-incremental", env=CPU).stderr
    assert "11 files scored (33 rows), 0 up to date, 0 failed" in forced


def test_a_tree_is_mirrored_where_partitions_are_found(
    invoke: Invoke, many: Path, tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """With -o each output lies where its input lay, and is found there the next night."""
    (many / "day=1/11.csv").unlink()
    out = tmp_path / "out"
    assert invoke("run", many, "-o", out, "--model", tiny_bert_bundle, env=CPU).exit_code == 0
    assert len(list(out.glob("day=0/*.scored.csv"))) == 6
    assert len(list(out.glob("day=1/*.scored.csv"))) == 5
    again = invoke("run", many / "*", "-o", out, "--model", tiny_bert_bundle, env=CPU)
    assert "0 files scored (0 rows), 11 up to date" in again.stderr


def test_outputs_without_an_input_are_removed_on_demand(
    invoke: Invoke, many: Path, tiny_bert_bundle: Path
) -> None:
    """Named, counted, and only by a run in which nothing failed; a dry run names them too."""
    call = ["run", many, "--model", tiny_bert_bundle, "--prune"]
    assert invoke(*call, env=CPU).exit_code == 65
    gone, output = many / "day=0/00.csv", f"{many}.scored/day=0/00.scored.csv"
    gone.unlink()
    failed = invoke(*call, env=CPU)
    assert "removed" not in failed.stderr
    (many / "day=1/11.csv").unlink()
    looked = invoke(*call, "--dry-run", env=CPU).stdout.splitlines()
    assert f"{output}: would be removed, as {gone} is gone" in looked
    assert looked[-1].endswith("0 would fail, 1 would be removed")
    with locked(Path(output)):
        held = invoke(*call, env=CPU)
    assert held.exit_code == 0
    assert "warning: all is scored, but not all is tidy (another run" in held.stderr
    *_, removed, total = invoke(*call, env=CPU).stderr.splitlines()
    assert removed == f"tweetscore: {output} is removed, as {gone} is gone"
    assert "10 up to date, 0 failed, 1 removed; skipped" in total
    refused = invoke("run", many / "day=0/02.csv", "--prune", env=CPU)
    assert refused.exit_code == 2
    assert "no INPUT is one; name a directory, or leave --prune out" in refused.stderr


def test_an_error_that_all_files_share_is_one_line(invoke: Invoke, many: Path) -> None:
    """A mistake in the call is not printed once for each of a thousand files."""
    result = invoke("run", many, "--encoding", "klingon", env=CPU)
    error, total = result.stderr.splitlines()
    assert "klingon" in error
    assert "0 files scored (0 rows), 0 up to date, 12 failed" in total
    assert result.exit_code == 2


def test_long_lists_of_our_own_products_are_cut(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """A shell's pattern may have matched thousands."""
    own = [tweets.parent / f"{number}.scored.csv" for number in range(12)]
    call = ["run", tweets, *own, "--model", tiny_bert_bundle]
    line, *_ = invoke(*call, env=CPU).stderr.splitlines()
    assert line.endswith(f"{own[9]} and 2 more")


def test_nothing_to_score_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    """An empty directory exits 66."""
    (tmp_path / "in").mkdir()
    result = invoke("run", tmp_path / "in")
    assert result.exit_code == 66
    assert result.stderr.startswith(f"tweetscore: no file to score in {tmp_path / 'in'}; check")


def test_nan_that_passes_through_is_reported(invoke: Invoke, tmp_path: Path) -> None:
    """Another reader of the output may refuse it."""
    (path := tmp_path / "in.ndjson").write_text('{"text": "I love this song", "x": NaN}\n')
    result = invoke("run", path, "--device", "builtin")
    assert result.exit_code == 0
    assert result.stderr.endswith(
        "; 1 with NaN or Infinity, which other readers of JSON may refuse\n"
    )
    written = (tmp_path / "in.scored.ndjson").read_text()
    assert written.startswith('{"text": "I love this song", "x": NaN,"label":"positive","score":0.')
    result = invoke("run", path, "--device", "builtin", "--no-incremental", "--log-format", "json")
    assert json.loads(result.stderr.splitlines()[0])["not_finite"] == 1
