import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}


@pytest.fixture
def folder(tmp_path: Path, tweets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, which holds tweets.csv."""
    monkeypatch.chdir(tmp_path)
    assert tweets.parent == tmp_path
    return tmp_path


def configure(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def settings(shown: str) -> dict[str, str]:
    """Return what stands in front of each origin in a listing of one command, by key."""
    lines = [line for line in shown.splitlines()[3:] if line]
    return {line.removeprefix("# ").split()[0]: line for line in lines}


def test_flags_win_over_variables_over_the_file(
    invoke: Invoke, folder: Path, tiny_bert_bundle: Path
) -> None:
    """Each value comes from the first of command line, environment, file and default."""
    configure(
        folder / "tweetscore.toml",
        f"model = '{tiny_bert_bundle}'\ndevice = 'builtin'\n"
        "[run]\nlabel-column = 'of file'\nscore-column = 'of file too'\nmax-rejects = 7\n",
    )
    env = {"TWEETSCORE_LABEL_COLUMN": "of environment", "TWEETSCORE_SCORE_COLUMN": "neither"}
    result = invoke("run", "tweets.csv", "--score-column", "of flag", env=env)
    assert result.exit_code == 0, result.stderr
    columns = pl.read_csv("tweets.scored.csv").columns
    assert columns == ["id", "text", "of environment", "of flag"]
    report = json.loads(Path(".tweetscore/tweets.scored.csv.run.json").read_text("utf-8"))
    origins = report["options_from"]
    assert report["options"]["max_rejects"] == 7
    assert {name: origins[name] for name in origins if origins[name] != "default"} == {
        "label_column": "environment",
        "score_column": "command line",
        "max_rejects": "configuration file",
        "model": "configuration file",
        "device": "configuration file",
    }
    assert invoke("verify", "tweets.scored.csv").exit_code == 0  # as the report's schema allows


def test_a_cron_line_needs_nothing_but_the_file(
    invoke: Invoke, folder: Path, tiny_bert_bundle: Path
) -> None:
    """Inputs may stand in the file; relative paths start where the file lies, not where cron is."""
    (folder / "lake" / "day=1").mkdir(parents=True)
    (folder / "tweets.csv").rename(folder / "lake" / "day=1" / "tweets.csv")
    (folder / "bundle").symlink_to(tiny_bert_bundle)
    path = configure(
        folder / "tweetscore.toml",
        "model = 'bundle'\n[run]\ninputs = ['lake/*/*.csv']\noutput = 'scored/'\n"
        "label-names = ['no', 'so', 'yes']\n",
    )
    (folder / "elsewhere").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "elsewhere")
        result = invoke("run", "--config", path, env=CPU)
        by_name = invoke("run", env={**CPU, "TWEETSCORE_CONFIG": str(path)})
    assert result.exit_code == 0, result.stderr
    scored = pl.read_csv(folder / "scored" / "day=1" / "tweets.scored.csv")
    assert set(scored["label"].drop_nulls()) <= {"no", "so", "yes"}
    assert "0 files scored (0 rows), 1 up to date" in by_name.stderr


def test_inputs_of_the_command_line_replace_those_of_the_file(
    invoke: Invoke, folder: Path, tiny_bert_bundle: Path
) -> None:
    """The two are not joined."""
    configure(folder / "tweetscore.toml", "[run]\ninputs = ['missing.csv']\n")
    result = invoke("run", "tweets.csv", "--model", tiny_bert_bundle, env=CPU)
    assert result.exit_code == 0, result.stderr
    assert invoke("run").exit_code == 66


def test_without_inputs_the_call_is_still_wrong(invoke: Invoke, folder: Path) -> None:
    """A file that names none changes nothing of that."""
    configure(folder / "tweetscore.toml", "[run]\nquiet = true\n")
    result = invoke("run")
    assert result.exit_code == 2
    assert "Missing argument 'INPUT...'" in result.stderr


def test_standard_input_can_stand_in_the_file(
    invoke: Invoke, folder: Path, tiny_bert_bundle: Path
) -> None:
    """A dash is no path that starts where the file lies."""
    path = configure(folder / "etc" / "t.toml", "[run]\ninputs = ['-']\n")
    shown = invoke("config", "run", "--config", path).stdout
    assert settings(shown)["inputs"].startswith('inputs = ["-"]')


def test_a_file_that_is_named_is_the_only_one(invoke: Invoke, folder: Path) -> None:
    """Naming another file, an empty one too, leaves the directory's own unread."""
    configure(folder / "tweetscore.toml", "no TOML")
    assert invoke("config").exit_code == 78
    assert invoke("config", "--config", "/dev/null").exit_code == 0
    assert invoke("config", env={"TWEETSCORE_CONFIG": "/dev/null"}).exit_code == 0


def test_a_byte_order_mark_is_no_mistake(invoke: Invoke, folder: Path) -> None:
    """Editors write one that is invisible."""
    path = configure(folder / "t.toml", "\ufeff[run]\nlimit = 5\n")
    assert "\nlimit = 5 " in invoke("config", "run", "--config", path).stdout


MISTAKES = [
    ("device = \nlimit = 1", "is not TOML: Invalid value (at line 1, column 10); correct it"),
    ("a = " + "[" * 100_000, "is not TOML: "),
    ("text_column = 'a'", "unknown key 'text_column'; did you mean text-column?"),
    ("[run]\nlimt = 1", "unknown key 'limt' in [run]; did you mean limit?"),
    ("[doctor]\nlimit = 1", "unknown key 'limit' in [doctor]; there are debug, device, model"),
    ("config = 'a'", "unknown key 'config'"),
    ("[rum]", "unknown table [rum]; did you mean run?"),
    ("[model]", "unknown table [model]; there are doctor, "),
    ("run = 1", "run is a table; write it as [run]"),
    ("inputs = ['a.csv']", "inputs is not for all commands; put it under [run]"),
    ("limit = 0", "limit: 0 is not a whole number from 1 to 1,000,000,000,000; correct it, or"),
    ("limit = 9223372036854775807", "limit: 9223372036854775807 is not a whole number from 1 to"),
    ("threads = 1000000", "threads: 1000000 is not a whole number from 1 to "),
    ("[text]\ndevice = 'gpu'", "device in [text]: 'gpu' is not one of 'auto', 'cuda', 'cpu'"),
    ("limit = '10'", 'limit is "10"; it has to be a whole number'),
    ("limit = true", "limit is true; it has to be a whole number"),
    ("limit = 1.5", "limit is 1.5; it has to be a whole number"),
    ("limit = 2026-11-24", 'limit is "2026-11-24"; it has to be a whole number'),
    ("lock-wait = '1'", 'lock-wait is "1"; it has to be a number'),
    (
        "lock-wait = inf",
        "lock-wait: inf is not a number from 0 to 604,800; correct it, or leave it",
    ),
    ("fail-on-drift = nan", "fail-on-drift: nan is not a number above 0 and up to 100; correct"),
    ("quiet = 'yes'", 'quiet is "yes"; it has to be true or false'),
    ("quiet = 1", "quiet is 1; it has to be true or false"),
    ("text-column = 5", "text-column is 5; it has to be a non-empty string"),
    ("model = ''", 'model is ""; it has to be a non-empty string'),
    (r'model = "a\u0000b"', r'model is "a\u0000b"; it has to be a non-empty string'),
    ("model = ['a']", 'model is ["a"]; it has to be a non-empty string'),
    ("[run.model]\na = 1", "model in [run] is "),
    ("[run]\ninputs = 'a.csv'", 'inputs in [run] is "a.csv"; it has to be a list of non-empty'),
    ("[run]\ninputs = []", "inputs in [run] is []; it has to be a list of non-empty strings"),
    ("[run]\ninputs = ['a', 1]", 'inputs in [run] is ["a", 1]; it has to be a list'),
    ("label-names = 'a,b,c'", 'label-names is "a,b,c"; it has to be a list of non-empty strings'),
    ("label-names = ['a', ' ']", "has an empty name; correct it, or leave it out"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=lambda mistake: mistake[:30])
def test_a_mistake_in_the_file_is_one_line(
    invoke: Invoke, folder: Path, text: str, words: str
) -> None:
    """Whichever command reads the file, it says the file, the key and what to do, and exits 78."""
    path = configure(folder / "t.toml", text)
    results = [invoke(*call, "--config", path) for call in (["run", "tweets.csv"], ["config"])]
    for result in results:
        assert (result.exit_code, result.stdout) == (78, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"tweetscore: {path}")
        assert words in line
    assert {path.name for path in folder.iterdir()} == {"t.toml", "tweets.csv"}


def test_a_file_that_cannot_be_read_is_one_line(invoke: Invoke, folder: Path) -> None:
    """A file that was named must be there; one that is there must be readable."""
    (folder / "tweetscore.toml").symlink_to("nowhere")
    (folder / "letters.toml").write_bytes(b'text-column = "ma\xf1ana"\n')
    reasons = {
        "missing.toml": "No such file or directory; check its name and its permissions",
        ".": "Is a directory; check its name and its permissions",
        "letters.toml": "is not UTF-8; save it as UTF-8",
    }
    for name, reason in reasons.items():
        result = invoke("run", "tweets.csv", "--config", name)
        assert result.exit_code == 78
        assert result.stderr.endswith(f"{reason}\n")
    result = invoke("run", "tweets.csv")
    assert result.exit_code == 78
    assert "the configuration file tweetscore.toml cannot be read" in result.stderr


def test_each_value_is_shown_with_its_origin(invoke: Invoke, folder: Path) -> None:
    """A file by its path, a variable by its name, and the defaults commented out."""
    path = configure(
        folder / "etc" / "tweetscore.toml",
        "threads = 2\n[run]\nmodel = 'bundle'\nquiet = true\nlabel-names = ['a', 'b, c']\n"
        "lock-wait = 1.5\nlog-format = 'json'\ntext-column = 'of file'\n",
    )
    env = {"TWEETSCORE_TEXT_COLUMN": "tëxt", "TWEETSCORE_DEBUG": "1"}
    result = invoke("config", "run", "--config", path, env=env)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"# configuration file: {path}\n\n[run]\n")
    shown = settings(result.stdout)
    columns = {line.index("  # ") for line in shown.values()}
    assert len(columns) == 1  # aligned
    assert {key: " ".join(line.split()) for key, line in shown.items() if line[0] != "#"} == {
        "threads": f"threads = 2 # {path}",
        "model": f'model = "{folder / "etc" / "bundle"}" # {path}',
        "quiet": f"quiet = true # {path}",
        "label-names": f'label-names = ["a", "b, c"] # {path}',
        "lock-wait": f"lock-wait = 1.5 # {path}",
        "log-format": f'log-format = "json" # {path}',
        "text-column": 'text-column = "tëxt" # TWEETSCORE_TEXT_COLUMN',
        "debug": "debug = true # TWEETSCORE_DEBUG",
    }
    assert shown["device"].split("  ")[0] == '# device = "auto"'
    assert shown["device"].endswith("  # default")
    assert shown["chunk-rows"].endswith("  # default: 16384; 262144 on CUDA")
    assert shown["limit"].endswith("  # not set")
    assert shown["overwrite"].startswith("# overwrite = false ")


def test_what_is_shown_is_a_file_that_says_the_same(invoke: Invoke, folder: Path) -> None:
    """The listing can be kept as tweetscore.toml; a default in it holds when it is uncommented."""
    env = {"TWEETSCORE_LABEL_NAMES": 'a,"b",\\c', "TWEETSCORE_LOCK_WAIT": "2"}
    first = invoke("config", "run", env=env).stdout
    configure(folder / "tweetscore.toml", first)
    again = invoke("config", "run").stdout
    assert tomllib.loads(again) == tomllib.loads(first)
    assert tomllib.loads(first)["run"] == {
        "label-names": ["a", '"b"', "\\c"], "lock-wait": 2.0,
    }  # fmt: skip
    lines = [line.removeprefix("# ") if " = " in line else line for line in first.splitlines()]
    configure(folder / "tweetscore.toml", "\n".join(lines))
    assert tomllib.loads(invoke("config", "run").stdout)["run"]["resume"] == "auto"


def test_all_commands_that_can_be_configured_are_shown(invoke: Invoke, folder: Path) -> None:
    """Without COMMAND there is a table for each; a COMMAND that has none is a usage error."""
    tables = tomllib.loads(invoke("config").stdout)
    assert tables == {"run": {}, "table": {}, "text": {}, "verify": {}, "report": {}, "doctor": {}}
    wrong = invoke("config", "train")
    assert wrong.exit_code == 2
    assert wrong.stderr == (
        "tweetscore: no command 'train' has a configuration; there are run, table, text, "
        "verify, report, doctor\n"
    )


def test_a_wrong_variable_is_found_before_the_night(invoke: Invoke, folder: Path) -> None:
    """`tweetscore config` ends as the run would."""
    result = invoke("config", env={"TWEETSCORE_CHUNK_ROWS": "many"})
    assert result.exit_code == 2
    assert "TWEETSCORE_CHUNK_ROWS: 'many' is not a whole number from 1 to" in result.stderr


def test_other_commands_read_the_file(invoke: Invoke, folder: Path, tiny_bert_bundle: Path) -> None:
    """Keys at the top hold for all commands, and a command's own table wins over them."""
    configure(
        folder / "tweetscore.toml",
        f"model = 'nowhere'\ndevice = 'builtin'\n[text]\nmodel = '{tiny_bert_bundle}'\n"
        "label-names = ['x', 'x', 'x']\n",
    )
    result = invoke("text", "hi")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[1].startswith("x\t")
    doctor = invoke("doctor")
    assert doctor.exit_code == 78
    assert "nowhere" in doctor.stderr


def test_debug_can_be_set_in_the_file(invoke: Invoke, folder: Path) -> None:
    """An option that is looked at first is found there too."""
    configure(folder / "tweetscore.toml", "debug = true")
    assert invoke("run", "missing.csv").stderr.startswith("Traceback ")


def test_commands_that_a_person_types_do_not_read_it(invoke: Invoke, folder: Path) -> None:
    """Training and exporting are no nightly jobs: their options are typed."""
    configure(folder / "tweetscore.toml", "no TOML")
    assert invoke("model", "info").exit_code == 0


def test_help_needs_no_sound_file(invoke: Invoke, folder: Path) -> None:
    """Whoever looks for the right key can read the help beside the wrong one."""
    configure(folder / "tweetscore.toml", "colour = true")
    assert invoke("run", "--help").exit_code == 0
    assert invoke("--version").exit_code == 0
