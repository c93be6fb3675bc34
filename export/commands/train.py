"""`tweetscore model train`: labelled tweets and a base in, a checkpoint out."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from export.train import DEFAULT_DATA, RECIPES
from scorer import threads
from scorer.cli.common_options import (
    CONTEXT,
    FilePath,
    Names,
    debug_option,
    number_option,
    text_column_option,
)
from scorer.cli.log import LoggedCommand, in_json, log_message, log_option
from scorer.cli.run_flags import check_names, csv_options
from scorer.hints import counted
from scorer.options import Kind

if TYPE_CHECKING:
    from export.train.training import Trained

_REPORTERS = ("tensorboard", "mlflow", "wandb")
# One option per setting of a recipe: (setting, type or bounds, metavar, help).
_SETTINGS: tuple[tuple[str, Any, str, str], ...] = (
    ("base", str, "BASE", "Fine-tune this base: a directory, or hf:OWNER/NAME[@REVISION]."),
    ("epochs", threads.EPOCHS, "X", "Pass over the training rows X times."),
    ("learning_rate", threads.RATE, "X", "Let the linear schedule peak at this rate."),
    ("batch_size", threads.BATCH, "N", "Put N rows into a batch."),
    ("accumulation", threads.BATCH, "N", "Add up N batches for an optimizer step."),
    ("label_smoothing", threads.PART, "SHARE", "Spread this share of a target over all classes."),
    ("warmup", threads.PART, "SHARE", "Reach the peak after this share of the steps."),
    ("weight_decay", threads.DECAY, "X", "Set the weight decay of AdamW."),
    ("max_length", threads.TOKENS, "N", "Cut texts after N tokens."),
    ("seed", threads.SEED, "N", "Decide everything random by this number."),
    ("group_by_length", bool, "", "Put texts of like length into a batch."),
    (
        "precision",
        click.Choice(["auto", "fp32", "bf16"]),
        "",
        "Compute in this type; auto takes bf16 where it is fast.",
    ),
    ("train_rows", threads.ROWS, "N", "Use N training rows, after a shuffle."),
    ("test_rows", threads.ROWS, "N", "Use N test rows, after a shuffle."),
    ("average_last", threads.PART, "SHARE", "Average the weights of this last share of the steps."),
    (
        "validation",
        threads.PART,
        "SHARE",
        "Hold out this share of the rows to fit the temperature.",
    ),
    ("refit", bool, "", "Train again on all rows then, and keep the temperature."),
    (
        "distill_folds",
        threads.FOLDS,
        "N",
        "Learn from N fold models' answers for unseen rows; 0 = none.",
    ),
    ("distill_weight", threads.SHARE, "SHARE", "Give their answers this share of the targets."),
    ("lora", threads.RANK, "N", "Train LoRA adapters of rank N instead of the base; 0 = none."),
    (
        "class_weights",
        click.Choice(["none", "balanced"]),
        "",
        "Weigh the classes; balanced lets rare ones count more.",
    ),
    ("best_epoch", bool, "", "End on the epoch with the smallest loss on the held-out rows."),
    (
        "early_stopping",
        threads.PATIENCE,
        "N",
        "Stop after N worse epochs, and end on the best; 0 = never.",
    ),
)


class Reporters(Names):
    """Comma-separated names of what a training reports to."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split, and fail for a name that is not known."""
        names = super().convert(value, param, ctx) if value else ()
        if unknown := [name for name in names if name not in _REPORTERS]:
            self.fail(f"{unknown[0]!r} is not one of {', '.join(_REPORTERS)}", param, ctx)
        return names


def _setting_options(command: Any) -> Any:
    """Add an option per setting; none has a default, because the recipe has."""
    for name, kind, metavar, text in reversed(_SETTINGS):
        flag = f"--{name.replace('_', '-')}"
        flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        help_text = f"{text}  [default: {_shown(getattr(RECIPES['default'], name))}]"
        about: Any = {"default": None, "metavar": metavar or None, "help": help_text}
        if isinstance(kind, threads.Bounds):
            command = number_option(flags, name, bounds=kind, **about)(command)
        else:
            command = click.option(flags, name, type=kind, **about)(command)
    return command


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@click.command(
    "train",
    cls=LoggedCommand,
    context_settings=CONTEXT,
    epilog="The defaults are those of the recipe named default; an option wins over its recipe.",
)
@click.option(
    "-o", "--output", required=True, type=FilePath(), metavar="CHECKPOINT", help="Write here."
)
@click.option(
    "--data",
    default=DEFAULT_DATA,
    show_default=True,
    metavar="SOURCE",
    help="Train on OWNER/NAME of the hub, on a file of any format that `tweetscore run` reads, "
    "on a folder of them, or on what datasets' save_to_disk wrote.",
)
@click.option(
    "--test-data",
    metavar="SOURCE",
    help="Evaluate on this source.  [default: the part named test, where --data has one]",
)
@text_column_option
@click.option(
    "--label-column",
    default="label",
    show_default=True,
    metavar="NAME",
    help="Take the labels of this column: names or whole numbers.",
)
@click.option(
    "--label-names",
    type=Names(),
    default=(),
    metavar="A,B,C",
    help="Name all classes in the order of their ids.  [default: as found, in alphabetical order]",
)
@click.option(
    "--format",
    type=click.Choice(get_args(Kind)),
    help="Read the files as this format, whatever their names say.  [default: by extension]",
)
@csv_options
@click.option(
    "--recipe",
    "recipe_name",
    type=click.Choice(sorted(RECIPES)),
    default="default",
    show_default=True,
    help="Start from a named set of the settings below.",
)
@_setting_options
@number_option(
    "--checkpoint-steps",
    bounds=threads.SOME_ROWS,
    metavar="N",
    help="Save a checkpoint for --resume after each N steps; 0 = none.  [default: one after "
    "each epoch]",
)
@click.option(
    "--resume/--no-resume",
    default=None,
    allow_from_autoenv=False,  # TWEETSCORE_RESUME is of `tweetscore run`, and no flag there
    help="Go on with a training that was ended early, to the same weights; or discard it.",
)
@click.option(
    "--report-to",
    type=Reporters(),
    default=(),
    metavar="A,B",
    help="Report to tensorboard, mlflow or wandb, as the Trainer does; TensorBoard's "
    "files go to CHECKPOINT.tensorboard.",
)
@click.option("--name", metavar="NAME", help="Name the model.  [default: as the directory]")
@click.option("--overwrite", is_flag=True, help="Replace a checkpoint that is there.")
@log_option
@debug_option
def train(output: Path, *, recipe_name: str, **given: Any) -> None:
    """Fine-tune a classifier on labelled tweets.

    CHECKPOINT is written as a whole or not at all, with its evaluation on the test data;
    without them, on the held-out rows.

    \b
    tweetscore model train -o checkpoint/ --data train.csv --label-column sentiment
    tweetscore model export checkpoint/ -o bundle/
    """
    from export.train.labelled_tables import Columns
    from export.train.training import TrainOptions
    from export.train.training import train as run
    from scorer.options import CsvOptions, InputSpec, pop_spec

    check_names(no_header=given.pop("no_header"), columns=given["columns"])
    files = InputSpec(csv=pop_spec(CsvOptions, given), format=given.pop("format"))
    text, label = given.pop("text_column"), given.pop("label_column")
    columns = Columns(text, label, given.pop("label_names"), files)
    recipe = RECIPES[recipe_name]
    settings = {field.name: given.pop(field.name) for field in dataclasses.fields(recipe)}
    by_hand = {name: value for name, value in settings.items() if value is not None}
    options = TrainOptions(
        columns=columns,
        recipe_name=recipe_name,
        recipe=dataclasses.replace(recipe, **by_hand),
        notify=log_message,
        **given,
    )
    trained = run(output, options)
    if in_json():
        facts = {"evaluation": trained.evaluation, "data": trained.training["data"]}
        path = str(trained.directory)
        log_message("info", "trained", _summary(trained)[-1], checkpoint=path, **facts)
        return
    click.echo("\n".join(_summary(trained)), err=True)


def _summary(trained: "Trained") -> list[str]:
    dropped = trained.training["dropped"]
    data = trained.training["data"][0]
    lines = [f"trained on {counted(data['rows'], 'row')} of {data['name']}"]
    if any(dropped.values()):
        lines.append(f"dropped {dropped['null']:,} null and {dropped['blank']:,} blank texts")
    figures = trained.evaluation
    if figures is not None:
        lines.append(
            f"accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}, "
            f"ECE {figures['ece']:.4f} at temperature {figures['temperature']:.3f} "
            f"on {counted(figures['data']['rows'], 'row')} of {figures['data']['name']}"
        )
    lines.append(f"{trained.training['name']} is in {trained.directory}")
    return lines
