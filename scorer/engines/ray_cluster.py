"""A Ray cluster: the connection to it, how many actors it runs, and the actor that scores files."""

import os
import pickle
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scorer.api.scorer_config import ScorerConfig
from scorer.errors import DeviceUnavailable, InvalidBundle, UsageError
from scorer.installation import needed
from scorer.monitor.versions import library_versions, tweetscore_version
from scorer.options import ModelSpec
from scorer.threads import available_cpus, limit_pools

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.loading import Candidate, ModelHandle
    from scorer.monitor.report_types import Outcome
    from scorer.options import RunOptions

_CONNECT_TIMEOUT_S = 10.0
# No usage statistics for Ray's makers. Its log files are enough; errors come as exceptions.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "ERROR",
}
_STORE = 100 << 20  # bytes of Ray's object store on one box: only names and reports go through it


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Yield the module ray, connected to a cluster; one on this box ends with the block."""
    os.environ |= QUIET
    with needed("ray", "the engine ray needs"):
        import ray
        import ray.data
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with TemporaryDirectory(prefix="tweetscore-ray-", ignore_cleanup_errors=True) as scratch:
        try:
            with _hushed():
                _connect(ray, address or os.environ.get("RAY_ADDRESS"), scratch)
            if signal.getsignal(signal.SIGTERM) is not on_sigterm:
                signal.signal(signal.SIGTERM, on_sigterm)  # Ray's would end the process with 1
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = context.print_on_execution_start = False
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _hushed() -> Iterator[None]:
    """Silence stderr for Ray's native half, which would print its log level there."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _connect(ray: Any, address: str | None, scratch: str) -> None:
    """Connect to a cluster, or start one on this box, which keeps its files in `scratch`."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None or address == "local":
        ray.init(
            "local",
            num_cpus=available_cpus(),
            object_store_memory=_STORE,
            include_dashboard=False,
            _temp_dir=scratch,
            **quiet,
        )
        return
    try:
        if ":" in address:  # Ray itself would retry for a quarter of an hour
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
        ray.init(address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise DeviceUnavailable(
            f"no Ray cluster answers at {address}: {problem}", "check --ray-address"
        ) from error


NO_TABLE = -1  # for a version, in a row that Ray hands over


@dataclass(frozen=True, slots=True)
class Job:
    """The part of a run that every actor gets once."""

    options: "RunOptions"  # paths are absolute, threads those of one actor
    config: ScorerConfig
    libraries: Mapping[str, str]  # versions on the box that plans
    manifest: Path


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The outcome of one file, or an error of the model, which concerns all files."""

    number: int
    outcome: "Outcome | None"
    error: BaseException | None = None


class FileScorer:
    """Scores files with one model, which is loaded when the first of them needs it."""

    def __init__(self, job: bytes, threads: int) -> None:
        """Unpack the job.

        Args:
            job: A pickled `Job`: what it needs is loaded after the pools have their size.
            threads: CPUs that Ray grants to this actor.
        """
        limit_pools(threads)
        self._job: Job = pickle.loads(job)  # noqa: S301 - from the driver of this very run
        self._model = _model(self._job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the file of a row; the pickled `FileAnswer` is what travels back."""
        path, output = (Path(os.fsdecode(row[name])) for name in ("input", "output"))
        version = row["table_version"]
        outcome = self._score(path, output, None if version == NO_TABLE else version)
        error = self._model.error
        answer = FileAnswer(row["number"], None if error else outcome, error)
        return {"answer": pickle.dumps(answer)}

    def _score(self, path: Path, output: Path, version: int | None) -> "Outcome":
        from scorer.run.one_file import FileRun
        from scorer.store.commit import inodes

        taken = inodes([path])
        run = FileRun(path, output, self._job.options, several=True, table_version=version)
        with run.attempt():
            run.score(run.validate(taken), self._model, taken, lambda _: None)
        return run.outcome()


def _model(job: Job) -> "ModelHandle":
    """Return the config's model on this node, with the libraries of where the run began."""
    from scorer.inference.loading import ModelHandle

    def open_bundle() -> "Bundle":
        _check_libraries(job.libraries)
        return job.config.open_bundle()

    def load(bundle: "Bundle") -> "Candidate":
        from scorer.inference import loading

        return loading.load(bundle, job.options.model_spec)

    def on_proven() -> None:
        job.manifest.unlink(missing_ok=True)  # an output is about to change

    return ModelHandle(open_bundle, load, on_proven)


def versions() -> dict[str, str]:
    """Return the versions, in this process, of what decides an answer."""
    return {"tweetscore": tweetscore_version(), **library_versions()}


def _check_libraries(wanted: Mapping[str, str]) -> None:
    """Raise InvalidBundle unless what decides an answer has the driver's versions here."""
    here = versions()
    for name in sorted(wanted.keys() | here.keys()):
        if wanted.get(name) != here.get(name):
            raise InvalidBundle(
                f"{name} is {here.get(name, 'not there')} on {os.uname().nodename}, and "
                f"{wanted.get(name, 'not there')} where the run was started",
                "install the same release of tweetscore with the same libraries on every node",
            )


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Actors, and what Ray grants to each."""

    actors: int
    threads: int
    gpus: int  # 0 or 1

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]], spec: ModelSpec, files: int) -> "ClusterPlan":
        """Divide a cluster: an actor per GPU with its share of the CPUs, or else an actor per CPU.

        More actors use CPUs better than more threads do; only where there are fewer files than
        CPUs does an actor have several.

        Args:
            nodes: As `ray.nodes` lists them.
            spec: Of a run: the device auto takes the GPUs if there are any; threads are those of
                each actor, and decided here if None.
            files: More actors than that would have nothing to do.
        """
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        cpus = [int(each.get("CPU", 0)) for each in alive]
        gpus = [int(each.get("GPU", 0)) for each in alive]
        wants_gpu = spec.device == "cuda" or (spec.device == "auto" and any(gpus))
        if wants_gpu and not any(gpus):
            raise DeviceUnavailable(
                "no node of the Ray cluster has a GPU", "use --device cpu, or another cluster"
            )
        usable = [(c, g) for c, g in zip(cpus, gpus, strict=True) if c and (g or not wants_gpu)]
        if not usable:
            raise DeviceUnavailable("no node of the Ray cluster has a CPU to give", "start workers")
        if wants_gpu:
            each = spec.threads or max(1, min(c // g for c, g in usable))
            actors = sum(min(g, c // each) for c, g in usable)
        else:
            least, all_cpus = min(c for c, _ in usable), sum(c for c, _ in usable)
            each = spec.threads or max(1, min(least, all_cpus // files))
            actors = sum(c // each for c, _ in usable)
        if not actors:
            raise UsageError(
                f"no node of the Ray cluster has {each} CPUs for an actor", "lower --threads"
            )
        return cls(min(actors, files), each, int(wants_gpu))
