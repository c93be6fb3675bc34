"""The steps of a training: data and a base model in, a checkpoint directory out.

read -> drop blanks -> split -> fine-tune -> temperature (-> refit) -> evaluate -> save
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.loadable import loadable
from export.source.base import Base, open_base
from export.staging import Making
from export.train import DEFAULT_DATA, RECIPES, TrainingConfig
from export.train.checks import require_classes, shared_rows, warnings_about
from export.train.dataset import EncodedRows, LabelledTexts, labelled
from export.train.evaluation import (
    baseline,
    draw_confusion_matrix,
    draw_reliability,
    evaluate,
    is_at_bound,
)
from export.train.labelled_tables import Columns
from export.train.notices import Notify, silent
from export.train.record import plan_of, recipe_record, versions_of
from export.train.settings import check_reporters, check_settings
from export.train.sources import has_test_rows, read_table
from export.train.stages import Stages, require_plan
from export.train.text_encoder import TextEncoder, open_encoder
from export.train.unfinished import TRAINING_NAME, discard, logs_of, unfinished
from scorer.errors import DataError, StorageError

if TYPE_CHECKING:
    from export.train.fitting import Fitted

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The settings of a training."""

    data: str = DEFAULT_DATA  # a file, or a name on the hub
    test_data: str | None = None  # by default the hub's split `test`; of a file, none
    columns: Columns = field(default_factory=Columns)
    recipe_name: str = "default"
    recipe: TrainingConfig = RECIPES["default"]
    name: str | None = None  # by default the output directory's
    overwrite: bool = False
    resume: bool | None = None  # an unfinished training goes on, or is discarded; None: refused
    checkpoint_steps: int | None = None  # 0: no checkpoints; None: one after each epoch
    report_to: tuple[str, ...] = ()  # as the Trainer calls them
    notify: Notify = silent


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint on disk."""

    directory: Path
    training: dict[str, Any]
    evaluation: dict[str, Any] | None  # None where there were no rows to evaluate on


def train(output: Path, options: TrainOptions) -> Trained:
    """Fine-tune a base on labelled texts and write the checkpoint to `output`.

    Raises:
        DataError: The data cannot be learnt from.
        InputMissing: Data or base are not there.
        InvalidBundle: The base is not allowed.
        MissingExtra: What it reports to is not installed.
        NotResumable: The unfinished training is another one.
        OutputRefused: `output` is there already, or an unfinished training of it.
        UsageError: The settings contradict each other.
    """
    config = options.recipe
    check_settings(config)
    check_reporters(options.report_to)
    with unfinished(output, options) as made:
        data, test = _read(options)
        chosen, spare = choose(data, config.train_rows, config.seed)
        require_classes(_with_text(chosen), _with_text(spare), config)
        base = open_base(config.base)  # which may be a download: only now
        with loadable(base, made.fresh("base")) as opened:
            trained = _trained(made, options, opened, (chosen, spare, test))
        made.publish()
        discard(made.directory)
    return dataclasses.replace(trained, directory=output)


def _trained(
    made: Making,
    options: TrainOptions,
    base: Base,
    read: tuple[LabelledTexts, LabelledTexts, LabelledTexts | None],
) -> Trained:
    """Train, and write the checkpoint to what is published.

    Args:
        made: What is being made.
        options: The settings.
        base: As transformers loads it.
        read: Rows to learn, those that the recipe leaves over, and test rows.
    """
    chosen, spare, test = read
    config, output = options.recipe, made.destination
    encoder = open_encoder(base, config.max_length)
    learnt, rows, dropped = _encode(chosen, encoder)
    left, spare_rows, _ = _encode(spare, encoder)
    require_classes(learnt, left, config)
    for warning in warnings_about(learnt):
        options.notify("warning", "data", warning)
    tested = _test_rows(test, encoder, options, (learnt, rows))
    # Imports torch: only now, when base and data are known to be good.
    from export.train.fitting import fit

    stages = Stages(
        directory=made.directory,
        every=options.checkpoint_steps,
        report_to=options.report_to,
        logs=logs_of(output),
        notify=options.notify,
    )
    require_plan(made.directory, plan_of(options.recipe, base, chosen.labels, (rows, spare_rows)))
    fitted = fit(base, encoder, chosen.labels, rows, spare_rows, config, stages)
    stage = made.fresh()
    _warn_of_temperature(fitted, options)
    evaluation = _evaluate(stage, fitted, chosen, tested)
    seen, logits = fitted.held_out or fitted.answer(rows)
    training = {
        "schema_version": SCHEMA_VERSION,
        "name": options.name or output.name,
        "base_model": {"name": base.name, "sha256": base.sha256},
        "data": [{"name": chosen.name, "sha256": chosen.sha256, "rows": fitted.training_rows}],
        "recipe": recipe_record(options.recipe_name, config),
        "normalizer": dataclasses.asdict(encoder.normalizer),
        "max_length": encoder.max_length,
        "temperature": fitted.temperature,
        "dropped": dropped,
        "baseline": baseline(
            logits,
            seen.input_ids,
            chosen.labels,
            fitted.temperature,
            encoder.tokenizer.unk_token_id,
        ),
        "libraries": versions_of(config),
    }
    _save(stage, fitted.model, encoder, training, evaluation)
    return Trained(output, training, evaluation)


def _read(options: TrainOptions) -> tuple[LabelledTexts, LabelledTexts | None]:
    """Read the training data, and the test data if there are any."""
    columns = options.columns
    data = labelled(read_table(options.data, "train", columns), columns)
    source = options.test_data or (options.data if has_test_rows(options.data) else None)
    if source is None:
        return data, None
    test = read_table(source, "test", columns)
    return data, labelled(test, dataclasses.replace(columns, names=data.labels))


def choose(
    data: LabelledTexts, count: int | None, seed: int
) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the rows to use and those left over.

    Without a count all are used, in their order. With one they are shuffled first, as
    `datasets.Dataset.shuffle(seed)` does it.
    """
    if count is None:
        order = np.arange(len(data))
    else:
        order = np.random.default_rng(seed).permutation(len(data))
    return data.take(order[:count]), data.take(order[len(order[:count]) :])


def _with_text(data: LabelledTexts) -> LabelledTexts:
    """Return the rows that are not null or blank, as far as that is known without a tokenizer."""
    return data.take(np.flatnonzero(data.texts.fill_null("").str.strip_chars() != ""))


def _encode(
    data: LabelledTexts, encoder: TextEncoder
) -> tuple[LabelledTexts, EncodedRows, dict[str, int]]:
    """Tokenise, and drop the texts that are null or blank, with their counts."""
    input_ids = encoder(data.texts)
    kept = np.array([i for i, ids in enumerate(input_ids) if ids], dtype=np.int64)
    null = data.texts.null_count()
    rows = EncodedRows([input_ids[i] for i in kept], data.label_ids[kept])
    return data.take(kept), rows, {"null": null, "blank": len(data) - len(kept) - null}


def _test_rows(
    test: LabelledTexts | None,
    encoder: TextEncoder,
    options: TrainOptions,
    learnt: tuple[LabelledTexts, EncodedRows],
) -> tuple[EncodedRows, dict[str, Any]] | None:
    """Return the test rows, and their record for ``evaluation.json``."""
    if test is None:
        return None
    config = options.recipe
    kept, rows, dropped = _encode(choose(test, config.test_rows, config.seed)[0], encoder)
    if len(rows) == 0:
        raise DataError(f"{test.name} has no row with a text", "give test data, or leave them out")
    if warning := shared_rows(*learnt, kept, rows):
        options.notify("warning", "data", warning)
    return rows, {"name": test.name, "sha256": test.sha256, "rows": len(rows), "dropped": dropped}


def _warn_of_temperature(fitted: "Fitted", options: TrainOptions) -> None:
    if fitted.held_out is None:
        options.notify(
            "info", "temperature", "the temperature is 1: no rows are held out to fit it"
        )
    elif is_at_bound(fitted.temperature):
        options.notify(
            "warning",
            "temperature",
            f"the temperature is {fitted.temperature:g}, as far as it may go: on the held-out rows "
            "the model is hardly better or never worse than its scores say",
        )


def _evaluate(
    stage: Path,
    fitted: "Fitted",
    data: LabelledTexts,
    tested: tuple[EncodedRows, dict[str, Any]] | None,
) -> dict[str, Any] | None:
    """Evaluate on the test rows, or on held-out training rows, or not at all."""
    if tested:
        (rows, logits), record = fitted.answer(tested[0]), tested[1]
    elif fitted.held_out:
        rows, logits = fitted.held_out
        name = f"{data.name} (held out)"
        record = {"name": name, "sha256": data.sha256, "rows": len(rows)}
    else:
        return None
    metrics = evaluate(logits, rows.label_ids, data.labels, fitted.temperature)
    draw_confusion_matrix(metrics, stage / "confusion_matrix.png")
    draw_reliability(logits, rows.label_ids, fitted.temperature, stage / "reliability.png")
    return {"data": record, **metrics}


def _save(
    stage: Path,
    model: Any,
    encoder: TextEncoder,
    training: dict[str, Any],
    evaluation: dict[str, Any] | None,
) -> None:
    from safetensors import SafetensorError

    try:
        model.cpu().save_pretrained(stage, safe_serialization=True)
    except SafetensorError as error:  # it wraps what the disk said
        raise StorageError(f"the weights cannot be written ({error})", "make room") from error
    encoder.save(stage)
    _write_json(stage / TRAINING_NAME, training)
    if evaluation is not None:
        _write_json(stage / "evaluation.json", evaluation)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
