"""The process that foreign files are opened in: what it may do, and how its end is reported."""

import json
import os
import platform
import socket
from pathlib import Path
from typing import Any

import pytest

from export import isolation
from export.isolation import seccomp
from export.isolation.limits import Limits, limits_for
from export.steps import Steps
from scorer.errors import (
    GateFailed,
    InputMissing,
    InvalidBundle,
    MissingExtra,
    OutOfMemory,
    TweetscoreError,
    UsageError,
)

ROOT = Path(__file__).parents[2]
LIMITS = Limits(memory=1 << 28, file=1 << 24, seconds=600)
NETWORK, FILES = "the network", "files outside of the checkpoint"


@pytest.fixture(autouse=True)
def targets_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


Told = list[tuple[str, float | None]]


def lacks(told: Told, what: str) -> bool:
    """Tell whether this system cannot withhold something, and the process said so."""
    return any("cannot withhold" in words and what in words for words, _ in told)


def confined(
    target: str,
    argument: Any = None,
    *,
    readable: tuple[Path, ...] = (),
    writable: tuple[Path, ...] = (),
    limits: Limits = LIMITS,
    told: Told | None = None,
) -> Any:
    kept = [] if told is None else told
    result = isolation.run(
        f"tests.export.confined_targets:{target}",
        json.dumps(argument).encode(),
        readable=readable,
        writable=writable,
        limits=limits,
        steps=Steps(lambda *step: kept.append(step)),
    )
    return json.loads(result)


def test_a_function_is_called_elsewhere() -> None:
    """Its argument, its steps with their seconds, its warnings and its result go through JSON."""
    told: Told = []
    assert confined("doubles", [1, 2], told=told) == [2, 4]
    (halved, seconds), remark = told[-2:]
    assert halved == "halved"
    assert seconds is not None
    assert remark == ("int8 is left out", None)


@pytest.mark.parametrize("kind", [GateFailed, InputMissing, InvalidBundle, UsageError])
def test_its_errors_are_ours(kind: type[TweetscoreError]) -> None:
    """Class, problem, remedy and so the exit code; the traceback is that of the process."""
    with pytest.raises(kind) as caught:
        confined("raises", [kind.__name__, "a\npr\u00f6blem", "do this"])
    assert type(caught.value) is kind
    assert str(caught.value) == "a\\npr\u00f6blem; do this"
    assert "in raises" in str(caught.value.__cause__)


def test_a_bug_is_one_there_too() -> None:
    """Exit code 70, with the words that an error here would have."""
    with pytest.raises(
        TweetscoreError, match="a bug of ours: RuntimeError: size mismatch"
    ) as caught:
        confined("breaks")
    assert caught.value.exit_code == 70


def test_a_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtra, match="need the library torch"):
        confined("misses")


def test_nothing_reaches_the_network() -> None:
    """No kind of socket that leads out, not even to this machine."""
    told: Told = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        found = confined("reaches_out", server.getsockname()[1], told=told)
        assert lacks(told, NETWORK) or not {"done"} & set(found.values()), found
        with pytest.raises(BlockingIOError):
            server.accept()


def test_who_tries_is_refused() -> None:
    """A conversion that connects ends it: one line, 78."""
    with pytest.raises(InvalidBundle, match="wants a file, the network or a process"):
        confined("connects", 9)


def test_files_of_others_are_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads what it is given, writes into the stage and its own directory, and no more."""
    monkeypatch.chdir(tmp_path)  # the process has another working directory
    places = {name: tmp_path / name for name in ("checkpoint", "stage", "outside")}
    for place in places.values():
        place.mkdir()
        (place / "a").write_text("kept")
    (places["outside"] / "a").chmod(0o600)
    told: Told = []
    found = confined(
        "touches",
        {name: str(place) for name, place in places.items()},
        readable=(Path("checkpoint"),),
        writable=(Path("stage"),),
        told=told,
    )
    if lacks(told, FILES):
        return
    assert [name for name, outcome in found.items() if outcome == "done"] == [
        "reads the checkpoint",
        "writes into the stage",
        "writes into its own directory",
        "changes a mode",  # is not done, though shutil.copy is to believe so
    ]
    assert [(place / "a").read_text() for place in places.values()] == ["kept"] * 3
    assert (places["outside"] / "a").stat().st_mode & 0o777 == 0o600


def test_it_starts_no_process() -> None:
    """No fork, no program, no signal to another; threads are its own."""
    told: Told = []
    found = confined("spawns", told=told)
    assert lacks(told, NETWORK) or [name for name in found if found[name] == "done"] == ["a thread"]


def test_a_pickle_that_runs_code_runs_nothing() -> None:
    """Even if one were opened: there is no shell."""
    told: Told = []
    assert confined("unpickles", told=told) != 0 or lacks(told, NETWORK)


def test_secrets_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment only what libraries need is passed on."""
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "SSH_AUTH_SOCK", "ANY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = confined("environment")
    assert "secret" not in found.values()
    assert found["OMP_NUM_THREADS"] == found["HF_HUB_OFFLINE"] == "1"
    assert found["HOME"] != os.environ.get("HOME")
    assert not Path(found["TMPDIR"]).exists()  # it is gone with the process


@pytest.mark.parametrize("target", ["allocates", "fails_for_memory", "aborts_for_memory"])
def test_memory_is_bounded(target: str) -> None:
    """Whatever becomes of a library without memory: 71, with the option that raises the limit."""
    with pytest.raises(OutOfMemory, match=r"more than the 0\.2 GiB .* --memory 1 ") as caught:
        confined(target)
    assert caught.value.exit_code == 71


@pytest.mark.parametrize("target", ["loops", "falls_silent"])
def test_time_is_bounded(target: str) -> None:
    """A model that computes for ever is ended, with the option that gives it longer."""
    limits = Limits(memory=LIMITS.memory, file=LIMITS.file, seconds=1)
    with pytest.raises(InvalidBundle, match=r"not done within 1 seconds.* --timeout 10 "):
        confined(target, limits=limits)


def test_files_are_bounded() -> None:
    with pytest.raises(InvalidBundle, match="a file of more than 16 MiB"):
        confined("writes_without_end")


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        ("reads_a_wild_pointer", InvalidBundle, r"crashed \(SIGSEGV\)"),
        ("is_killed", OutOfMemory, r"was killed \(SIGKILL\)"),
        ("ends", InvalidBundle, r"crashed \(exit code 3\)"),
    ],
)
def test_a_crash_is_one_line(target: str, kind: type[TweetscoreError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        confined(target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", ["nonsense\n", '{"type":"Done"}\n', "[]\n", "x" * (5 << 20)])
def test_nonsense_is_refused(words: str) -> None:
    """A process under foreign control can send what is no message, or too much."""
    with pytest.raises(InvalidBundle, match="told what ours never tells"):
        confined("tells", words)


def test_a_forged_error_is_only_text() -> None:
    """The name of a class is looked up among ours, and nothing else of that module is called."""
    forged = {"type": "Failed", "kind": "one_line", "problem": "p", "remedy": "r", "trace": ""}
    with pytest.raises(TweetscoreError, match=r"^p; r$") as caught:
        confined("tells", json.dumps(forged) + "\n")
    assert type(caught.value) is TweetscoreError


def test_what_a_system_cannot_withhold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose calls have unknown numbers, or an old kernel: one line says it."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not seccomp.give_up_calls()
    told: Told = []
    lacking = {"type": "Lacking", "what": [FILES, NETWORK]}
    with pytest.raises(InvalidBundle, match="exit code 0"):
        confined("tells", json.dumps(lacking) + "\n", told=told)
    assert told[-1] == (f"this system cannot withhold {FILES} and {NETWORK}", None)


def test_limits_grow_with_the_weights() -> None:
    """Memory up to nine tenths of the box, unless it is given; so is the time."""
    small, large = limits_for(0), limits_for(1 << 50)
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert large.memory == physical * 9 // 10
    assert small.memory < large.memory
    assert small.file < large.file
    assert small.seconds < large.seconds
    assert limits_for(1 << 30, memory=1.5, seconds=7) == Limits(3 << 29, 5 << 30, 7)
