"""Ray: the files of a run, spread over a cluster's actors by Ray Data.

Ray starts actors, hands each of them one file after the other, and replaces those that die. What
an actor does with a file is what one box does (`ray_actor`), so every output has the bytes that the
local engine writes. The manifest that names them all comes last.
"""

import os
import pickle
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scorer.api.scorer_config import ScorerConfig
from scorer.engines.ray_actor import Answer, ClusterPlan, FileScorer, Job, versions
from scorer.engines.ray_manifest import NAME, Manifest
from scorer.errors import DeviceUnavailable, EngineFailed, UsageError
from scorer.hints import needed
from scorer.options import Outcome, RunOptions
from scorer.os_errors import writing
from scorer.store.commit import inodes
from scorer.store.inputs import Inputs, find_inputs
from scorer.store.lock import locked
from scorer.store.paths import plan_outputs
from scorer.threads import available_cpus

Pairs = Sequence[tuple[Path, Path]]

_TASKS = 10_000  # that Ray is given; with more files a task has several
_MAX_TASK_RETRIES = 5  # after the death of an actor: a file may be what kills it
_CONNECT_TIMEOUT_S = 10.0
_THREADS = ("StreamingExecutor", "iter_threaded")  # Ray Data's, which use Ray
# Such a thread notices within it that it is to stop; after an interrupt one may turn in an
# idle loop until the exception is gone, and asks Ray for nothing there.
_THREAD_STOP_TIMEOUT_S = 1.0
_STALE_LOCK_WAIT_S = 60.0  # an actor whose driver died may hold the lock of an output so long
# No report to Ray's makers. What it logs to its files is enough; errors come as exceptions.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "ERROR",
}
_STORE = 100 << 20  # bytes of Ray's object store on one box: only names and reports go through it


def run(
    options: RunOptions,
    inputs: Inputs | None = None,
    *,
    address: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Outcome]:
    """Bring each input's output up to date, many at a time, and yield what became of it.

    As `scorer.run.pipeline.run`, but the order is that in which files are done.

    Args:
        options: What is wanted; `output` is a directory that all nodes see, as they see the inputs.
        inputs: What `find_inputs` found, where the caller has asked already.
        address: Of a Ray cluster; None: that of RAY_ADDRESS, or one on this box for this run.
        progress: Is called with the rows of each file.

    Raises:
        DeviceUnavailable: There is no cluster, or none with the device.
        EngineFailed: Workers died again and again.
        GateFailed: The model's answers on some node are not what they should be.
        InvalidBundle: The model cannot be used, or a node has other versions.
        MissingExtra: Ray is not installed.
        OutputLocked: Another such run writes into the directory.
        UsageError: There is no output directory, or an output is an input.
    """
    folder = _folder(options)
    found = replace(inputs or find_inputs(options.inputs, options.input_spec.format), several=True)
    pairs = plan_outputs(found, folder, options.input_spec.format)
    _check_inodes(found.files, pairs)
    config, bundle = ScorerConfig.of(
        options.model_spec.model,
        device=options.model_spec.device,
        precision=options.model_spec.precision,
        labels=options.output_spec.label_names,
    )
    manifest = Manifest(
        folder, model={"name": bundle.name, "version": bundle.version, "digest": bundle.digest}
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / NAME, wait=options.lock_wait) as lock, _connected(address) as ray:
        plan = ClusterPlan.of(ray.nodes(), options.model_spec, len(pairs))
        manifest.engine = {"name": "ray", "version": ray.__version__, **plan.as_json()}
        for path, error in found.unreadable:
            manifest.failed += 1
            yield Outcome(path, path, {}, error=error)
        job = Job(_for_actors(options, folder, plan), config, versions(), folder / NAME)
        with closing(_score(ray, pairs, job, plan)) as outcomes:
            for outcome in outcomes:
                manifest.add(outcome)
                progress(0 if outcome.error else outcome.report["counters"]["rows"])
                yield outcome
        if not manifest.failed:
            lock.check()
            manifest.publish()


def _folder(options: RunOptions) -> Path:
    if options.output is None:
        raise UsageError("the engine ray writes to a directory of its own", "name it with -o")
    if options.output.exists() and not options.output.is_dir():
        raise UsageError(f"{options.output} is a file", "the engine ray needs a directory")
    return options.output.absolute()


def _check_inodes(files: Sequence[Path], pairs: Pairs) -> None:
    """Let no output be an input under another name; an actor knows its own input only."""
    taken = inodes(files)
    for identity, output in inodes(output for _, output in pairs).items():
        if path := taken.get(identity):
            raise UsageError(f"{output} is the input {path} itself", "choose another output")


def _for_actors(options: RunOptions, folder: Path, plan: ClusterPlan) -> RunOptions:
    """Return the options with absolute paths: an actor works in another directory."""
    model = options.model_spec.model
    return replace(
        options,
        inputs=(),
        output=folder,
        model_spec=replace(
            options.model_spec, model=model and model.absolute(), threads=plan.threads
        ),
        lock_wait=max(options.lock_wait, _STALE_LOCK_WAIT_S),
    )


def _score(ray: Any, pairs: Pairs, job: Job, plan: ClusterPlan) -> Generator[Outcome, None, None]:
    """Yield what becomes of each file, as it is done; what is wrong with the model is raised."""
    rows = [
        {"number": number, "input": os.fsencode(path.absolute()), "output": os.fsencode(output)}
        for number, (path, output) in _in_order(pairs)
    ]
    tasks = ray.data.from_items(rows, override_num_blocks=min(len(rows), _TASKS))
    with warnings.catch_warnings():
        # Ray is about to name each option of an actor, but has no name yet for these two.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        answers = tasks.map(
            FileScorer,
            fn_constructor_args=(pickle.dumps(job), plan.threads),
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=plan.actors, initial_size=plan.actors
            ),
            num_cpus=plan.threads,
            num_gpus=plan.gpus,
            max_restarts=-1,
            max_task_retries=_MAX_TASK_RETRIES,
        )
    listed: Any = iter(answers.iter_rows())
    try:
        for row in listed:
            answer: Answer = pickle.loads(row["answer"])  # noqa: S301 - from our own actor
            if answer.error:
                raise answer.error
            path, output = pairs[answer.number]
            if answer.outcome:
                yield replace(answer.outcome, input=path, output=output)
    except ray.exceptions.RayTaskError:
        raise  # a worker that met a bug
    except ray.exceptions.RayError as error:
        raise EngineFailed(
            f"Ray lost a worker, then {_MAX_TASK_RETRIES} more over the same files "
            f"({type(error).__name__})",
            "see whether memory is short or a node is broken, and run the same command again",
        ) from error
    finally:
        _stop(listed)


def _stop(listed: Any) -> None:
    """End Ray Data's iterator over rows, and wait for its threads.

    One of them that asks Ray for something after Ray has been shut down has it end this process,
    with code 1 and without a word.
    """
    listed.close()
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(_THREAD_STOP_TIMEOUT_S)


def _in_order(pairs: Pairs) -> list[tuple[int, tuple[Path, Path]]]:
    """Return the pairs, numbered, the largest first; those that share a task from all sizes.

    The last to be done are then small ones, and no node is left alone with a large one.
    """
    sizes = [_size(path) for path, _ in pairs]
    order = sorted(range(len(pairs)), key=lambda number: -sizes[number])
    tasks = min(len(pairs), _TASKS)
    return [(n, pairs[n]) for task in range(tasks) for n in order[task::tasks]]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever opens it says why that cannot be done
        return 0


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Give the module ray, connected to a cluster; one on this box ends with the block."""
    os.environ |= _QUIET
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
    """Let Ray's native half say nothing on stderr, where it would announce its log level."""
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
    said = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None or address == "local":
        ray.init(
            "local",
            num_cpus=available_cpus(),
            object_store_memory=_STORE,
            include_dashboard=False,
            _temp_dir=scratch,
            **said,
        )
        return
    try:
        if ":" in address:  # Ray itself would knock for a quarter of an hour
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
        ray.init(address, **said)
    except (OSError, RuntimeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise DeviceUnavailable(
            f"no Ray cluster answers at {address}: {problem}", "check --ray-address"
        ) from error
