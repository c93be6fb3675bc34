"""The libraries that the program loads at its start."""

import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

import scorer
from tests.cli.helpers import HEAVY, loaded_by


@pytest.mark.parametrize(
    "code",
    [
        "import scorer; scorer.TweetscoreError; dir(scorer)",
        "import tweetscore; tweetscore.TweetscoreError; dir(tweetscore)",
        "import scorer.cli",
        "from scorer.cli import tweetscore; tweetscore(['--help'], standalone_mode=False)",
        "from scorer.cli import tweetscore; tweetscore(['run', '--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_loaded_at_the_start(code: str) -> None:
    """Asking for help does not wait for numpy, polars or ONNX Runtime."""
    assert loaded_by(code) & HEAVY == set()


def test_help_loads_little_more_than_click() -> None:
    """The modules that help needs beyond those of a bare click are a few, and ours."""
    click = loaded_by("import click")
    ours = loaded_by("from scorer.cli import tweetscore; tweetscore(['-h'], standalone_mode=False)")
    assert len(ours - click) < 30


def test_scoring_never_loads_what_training_needs() -> None:
    """The nightly box needs neither torch nor transformers, nor the export package."""
    modules = loaded_by(
        "import scorer.api.scorer, scorer.run.pipeline, scorer.cli.doctor, scorer.cli.text"
    )
    assert modules & {"torch", "transformers", "optimum", "datasets", "export"} == set()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_run_does_not_load_pandas(tmp_path: Path, tiny_bert_bundle: Path, ending: str) -> None:
    """It is installed here, and pyarrow would load it to look at an array."""
    source, words = tmp_path / f"tweets.{ending}", ['a "quoted" word', "so, so", "", "plain"]
    tweets = pl.DataFrame({"text": words})
    if ending == "csv":
        tweets.write_csv(source)
    else:
        tweets.write_parquet(source)
    scored = tmp_path / f"scored.{ending}"
    arguments = ["run", str(source), "-o", str(scored), "--model", str(tiny_bert_bundle)]
    modules = loaded_by(
        f"from scorer.cli import tweetscore; tweetscore({arguments}, standalone_mode=False)"
    )
    assert scored.exists()
    assert find_spec("pandas")
    assert "pandas" not in modules


def test_public_names_are_there() -> None:
    """Every name in __all__ can be had, and a wrong one is an AttributeError."""
    for name in scorer.__all__:
        assert getattr(scorer, name)
    assert set(scorer.__all__) <= set(dir(scorer))
    with pytest.raises(AttributeError, match="no attribute 'Scorrer'"):
        scorer.Scorrer  # type: ignore[attr-defined]  # noqa: B018 - a name that is not there


def test_the_version_is_the_distributions() -> None:
    """The package and its metadata agree on the version."""
    assert scorer.__version__ == metadata.version("tweetscore")


def test_the_console_script_is_installed() -> None:
    """`tweetscore --version` answers on stdout."""
    program = Path(sys.executable).parent / "tweetscore"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tweetscore {scorer.__version__}\n"


def test_python_runs_the_package() -> None:
    """`python -m tweetscore` is the same program, also where no script is in the PATH."""
    command = [sys.executable, "-m", "tweetscore", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"tweetscore {scorer.__version__}\n"


def test_a_run_over_parquet_does_not_load_pyarrows_functions(
    tmp_path: Path, tiny_bert_bundle: Path
) -> None:
    """Importing pyarrow.compute makes a wrapper for each of them, for 40 ms."""
    source = tmp_path / "tweets.parquet"
    pl.DataFrame({"text": ["so good", None, "plain"]}).write_parquet(source)
    words = ["run", str(source), "--quiet", "--model", str(tiny_bert_bundle)]
    code = (
        "import sys; from scorer.cli import tweetscore\n"
        f"tweetscore({words}, standalone_mode=False)\n"
        "print('pyarrow.compute' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert pl.read_parquet(tmp_path / "tweets.scored.parquet")["label"].null_count() == 1


def test_a_run_over_parquet_chooses_its_session_before_it_loads_polars(
    tmp_path: Path, tiny_bert_bundle: Path
) -> None:
    """Importing polars takes 0.1 s, while a session is loaded; text goes through it only then."""
    source = tmp_path / "tweets.parquet"
    pl.DataFrame({"text": ["so good", None, "plain"]}).write_parquet(source)
    words = ["run", str(source), "--quiet", "--model", str(tiny_bert_bundle)]
    code = (
        "import sys; from scorer.cli import tweetscore; from scorer.inference import loading\n"
        "inspect = loading.inspect\n"
        "def inspected(): print('polars' in sys.modules); return inspect()\n"
        "loading.inspect = inspected\n"
        f"tweetscore({words}, standalone_mode=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
