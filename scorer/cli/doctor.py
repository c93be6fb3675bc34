"""`tweetscore doctor`: the hardware of the box, the session that would run on it, and why."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.common_options import CONTEXT, debug_option, model_options
from scorer.cli.config_file import config_option
from scorer.cli.log import Command
from scorer.hints import counted
from scorer.monitor.versions import library_versions, tweetscore_version

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier
    from scorer.inference.runtime.machine import Machine


@click.command(cls=Command, context_settings=CONTEXT)
@model_options
@config_option
@debug_option
def doctor(*, model: Path | None, **choice: Any) -> None:
    """Show what this box offers and what a run would use, and prove it.

    Verifies the model, loads it and scores its canary texts. Exits 0 when a run would start;
    otherwise with the exit code of that run, such as 69 when the device is not there.

    \b
    tweetscore doctor
    tweetscore doctor --device cuda
    """
    from scorer.inference.bundle import open_bundle
    from scorer.inference.loading import load
    from scorer.inference.runtime.machine import inspect
    from scorer.options import ModelSpec

    versions = dict(library_versions())
    python = versions.pop("python")
    _say("tweetscore", f"{tweetscore_version()}, Python {python}, {platform.platform()}")
    _say("libraries", ", ".join(f"{name} {version}" for name, version in versions.items()))
    _say_machine(inspect())
    bundle = open_bundle(model)
    _say("model", f"{bundle.name} {bundle.version}, all hashes right, in {bundle.directory}")
    _say("labels", ", ".join(bundle.labels))
    _say_choice(load(bundle, ModelSpec(None, **choice)).prove())


def _say(topic: str, words: str) -> None:
    click.echo(f"{topic + ':':<11} {words}")


def _say_machine(machine: "Machine") -> None:
    from scorer.inference.runtime.machine import same_model

    _say("cpu", f"{machine.instruction_set}, {counted(machine.cpus, 'thread')} for this process")
    used = same_model(machine.gpus)
    for ordinal, gpu in enumerate(machine.gpus):
        note = "" if ordinal in used else ", not used: another model than the first one"
        _say("gpu", f"{gpu.name}, {gpu.architecture}, {gpu.memory / 2**30:.0f} GiB{note}")
    if not machine.gpus:
        _say("gpu", f"none: {machine.no_gpu_reason}")
    _say("openvino", machine.no_openvino_reason or "installed")


def _say_choice(classifier: "Classifier") -> None:
    runtime = classifier.runtime
    for warning in classifier.warnings:
        _say("warning", warning)
    devices = f", {runtime.devices} GPUs" if runtime.devices > 1 else ""
    threads = counted(runtime.threads, "thread")
    _say("would use", f"{runtime.device} {runtime.precision}, {threads}{devices}")
    _say("because", runtime.reason)
    _say("canary", str(classifier.canary))
