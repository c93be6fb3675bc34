"""Ray: the files of a run, spread over a cluster's actors by Ray Data, and their manifest.

Ray starts actors, hands each of them one file after the other, and replaces those that die. An
actor does with a file what one box does (`ray_cluster.FileScorer`), so every output has the bytes
that the local engine writes.

The manifest `.tweetscore/_tweetscore.json` is written last, and names all outputs of a run that
scored all of its inputs. A reader that waits for it sees all or nothing. It is removed before the
first output changes, and comes back when the last one is complete.
"""

import os
import pickle
import threading
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scorer.api.scorer_config import ScorerConfig
from scorer.engines.ray_cluster import (
    NO_TABLE,
    ClusterPlan,
    FileAnswer,
    FileScorer,
    Job,
    connected,
    versions,
)
from scorer.errors import EngineFailed, UsageError
from scorer.monitor.report_types import Outcome
from scorer.monitor.versions import tweetscore_version
from scorer.options import RunOptions
from scorer.os_errors import writing
from scorer.records import OnProgress, Progress
from scorer.store.commit import inodes, read_report, write_json
from scorer.store.earlier_places import move_earlier_manifest
from scorer.store.found import Inputs, table_versions
from scorer.store.inputs import find_inputs
from scorer.store.lock import locked
from scorer.store.output_plan import plan_outputs
from scorer.store.paths import MANIFEST, manifest_path

Pairs = Sequence[tuple[Path, Path]]

SCHEMA_VERSION = 1
_LARGEST = 256 << 20  # bytes of a manifest that is still compared: a million files
_COUNTED = ("read", "rows", "scored", "blank", "truncated", "rejected")

_TASKS = 10_000  # that Ray is given; with more files a task has several
_MAX_TASK_RETRIES = 5  # after the death of an actor: a file may be what kills it
_THREADS = ("StreamingExecutor", "iter_threaded")  # Ray Data's, which use Ray
# Such a thread notices within it that it is to stop; after an interrupt one may turn in an
# idle loop until the exception is gone, and calls nothing of Ray there.
_THREAD_STOP_TIMEOUT_S = 1.0
_STALE_LOCK_WAIT_S = 60.0  # an actor whose driver died may hold the lock of an output so long


def run(
    options: RunOptions,
    inputs: Inputs | None = None,
    *,
    address: str | None = None,
    progress: OnProgress = lambda _: None,
) -> Iterator[Outcome]:
    """Bring each input's output up to date, many at a time, and yield what became of it.

    As `scorer.run.pipeline.run`, but the order is that in which files are done.

    Args:
        options: What is wanted; `output` is a directory that all nodes see, as they see the inputs.
            That of a single directory DIR may be left out: it is DIR.scored then.
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
    found = replace(inputs or find_inputs(options.inputs, options.input_spec.format), several=True)
    folder = _folder(options.output, found)
    pairs = plan_outputs(found, options.output, options.input_spec.format)
    _check_inodes(found.files, pairs)
    config, bundle = ScorerConfig.of(
        options.model_spec.model,
        device=options.model_spec.device,
        precision=options.model_spec.precision,
        labels=options.output_spec.label_names,
    )
    manifest = Manifest(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / MANIFEST, wait=options.lock_wait) as lock, connected(address) as ray:
        move_earlier_manifest(folder)
        plan = ClusterPlan.of(ray.nodes(), options.model_spec, len(pairs))
        for path, error in found.unreadable:
            manifest.failed += 1
            yield Outcome(path, path, None, error=error)
        job = Job(_for_actors(options, folder, plan), config, versions(), manifest_path(folder))
        with closing(_score(ray, pairs, table_versions(found), job, plan)) as outcomes:
            for outcome in outcomes:
                manifest.add(outcome)
                rows = 0 if outcome.error else outcome.complete.counters.rows
                progress(Progress(outcome.input, "score", rows))
                yield outcome
        if not manifest.failed:
            lock.check()
            manifest.publish(
                engine={"name": "ray", "version": ray.__version__, **asdict(plan)},
                model={"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
            )


def _folder(output: Path | None, found: Inputs) -> Path:
    """Return the directory that holds all outputs: that of -o, or the mirror of one directory."""
    if output is None and all(each.mirror != each.place for each in found.inputs):
        output = found.searched[0].outputs if len(found.searched) == 1 else None
    if output is None:
        raise UsageError("the engine ray writes to a directory of its own", "name it with -o")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file", "the engine ray needs a directory")
    return output.absolute()


def _check_inodes(files: Sequence[Path], pairs: Pairs) -> None:
    """Refuse an output that is an input under another name; an actor sees its own input only."""
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


def _score(
    ray: Any, pairs: Pairs, versions: Mapping[str, int], job: Job, plan: ClusterPlan
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each file as it is done; raise an error of the model."""
    rows = [
        {
            "number": number,
            "input": os.fsencode(path.absolute()),
            "output": os.fsencode(output),
            "table_version": versions.get(os.path.abspath(path), NO_TABLE),
        }
        for number, (path, output) in _in_order(pairs)
    ]
    if not rows:  # a table may be empty
        return
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
            answer: FileAnswer = pickle.loads(row["answer"])  # noqa: S301 - from our own actor
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

    After Ray has been shut down, a thread that calls Ray ends this process with code 1 and without
    a message.
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
    except OSError:  # opening it raises the error
        return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(slots=True)
class Manifest:
    """The manifest of a run: the sums over its outcomes, and its files."""

    folder: Path  # that holds all outputs
    failed: int = 0
    _started: str = field(default_factory=_now)
    _files: list[dict[str, Any]] = field(default_factory=list)
    _counters: Counter[str] = field(default_factory=Counter)
    _labels: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count a file."""
        if outcome.error:
            self.failed += 1
            return
        report = outcome.complete
        output, counters = report.output, report.counters.as_json()
        self._files.append(
            {
                "output": os.path.relpath(outcome.output, self.folder),
                "input": report.input.path,
                "result_key": report.result_key,
                "rows": output.rows,
                "size": output.size,
                "sha256": output.sha256,
            }
        )
        self._counters.update({name: counters[name] for name in _COUNTED})
        for label in report.labels:
            self._labels[label.written_as] += label.rows

    def publish(self, *, engine: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        """Write it durably, unless a manifest that names the same files is there already."""
        path = manifest_path(self.folder)
        files = sorted(self._files, key=lambda file: str(file["output"]))
        if (read_report(path, _LARGEST) or {}).get("files") == files:
            return
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                "tool": {"name": "tweetscore", "version": tweetscore_version()},
                "started": self._started,
                "finished": _now(),
                "engine": engine,
                "model": model,
                "counters": dict(self._counters),
                "labels": dict(self._labels),
                "files": files,
            },
        )
