"""The worker process of one GPU; `WorkerPool` starts it and sends it batches.

It opens the bundle, answers batches, and ends when the pipe from the run is closed.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.runtime.gpu.workers import Frame, Kind, error_words, read, write
from scorer.inference.session import RuntimeInfo, Session

#: Opens a bundle on the device with that ordinal.
Opener = Callable[[Bundle, RuntimeInfo, int], Session]


def main() -> None:
    """Answer the run at the other end of stdin and stdout until it closes them."""
    questions, answers = _pipes()
    try:
        _serve(questions, answers)
    except OSError:  # the run has closed its end of the pipe
        pass
    finally:
        # At once: nothing reads the answer of a batch that is still on the device.
        os._exit(0)


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return both pipes; what a library prints to stdout goes to stderr, not between frames."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers


def _serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    turn = threading.Lock()

    def answer(frame: Frame) -> None:
        with turn:
            write(answers, frame)

    def infer(question: Frame) -> None:
        try:
            reply = Frame(Kind.LOGITS, question.tag, session.run(question.content))
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            reply = Frame(Kind.ERROR, question.tag, error_words(error))
        answer(reply)

    setup = read(questions)
    if setup is None:
        return
    try:
        session = _open(setup.content)
    except Exception as error:  # noqa: BLE001 - raised where the session is awaited
        answer(Frame(Kind.ERROR, setup.tag, error_words(error)))
        return
    facts = {"token_budget": session.token_budget, "callers": session.callers}
    answer(Frame(Kind.READY, setup.tag, facts))
    lanes = ThreadPoolExecutor(session.callers)
    while (question := read(questions)) is not None:
        lanes.submit(infer, question)


def _open(setup: dict[str, Any]) -> Session:
    """Verify the bundle again, for it was read by another process, and open it on our device."""
    bundle = open_bundle(Path(setup["bundle"]))
    if bundle.digest != setup["digest"]:
        raise InvalidBundle(f"{bundle.directory} has changed since the run began", "run it again")
    module, _, name = setup["opener"].partition(":")
    opener: Opener = getattr(import_module(module), name)
    session = opener(bundle, RuntimeInfo(**setup["info"]), setup["ordinal"])
    bundle.verify_unchanged()
    return session
