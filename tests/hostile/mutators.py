"""Injuries of files, the same ones every time, and what an answer to them must look like."""

import random
from collections.abc import Callable, Iterator

from scorer.errors import DataError, UsageError

CODES = {DataError.exit_code, UsageError.exit_code}  # the second: a column is called `label`

Mutator = Callable[[random.Random, bytes], bytes]


def flip(chance: random.Random, content: bytes, start: int, stop: int) -> bytes:
    """Turn some bits over."""
    mutant = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5, 20])):
        mutant[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)
    return bytes(mutant)


def flip_anywhere(chance: random.Random, content: bytes) -> bytes:
    return flip(chance, content, 0, len(content))


def truncate(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def move_bytes(chance: random.Random, content: bytes) -> bytes:
    size = chance.randrange(1, 200)
    source, target = (chance.randrange(4, len(content) - 8) for _ in range(2))
    part = content[source : source + size]
    return content[:target] + part + content[target + chance.choice([0, len(part)]) :]


def mutants(
    seeds: list[bytes], mutators: list[Mutator], number: int
) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents, the same ones every time."""
    for index in range(number):
        chance = random.Random(index)  # noqa: S311 - chosen, not secret
        mutator = chance.choice(mutators)
        yield f"{index}-{mutator.__name__}", mutator(chance, chance.choice(seeds))


def faults_of(answer: dict[str, object]) -> str:
    """Return what is wrong with an outcome, or nothing."""
    outcome = answer["outcome"]
    if outcome == "scored":
        return str(answer["difference"])
    if outcome != "refused":
        return str(outcome)
    if answer["code"] not in CODES or "\n" in str(answer["message"]):
        return f"exit code {answer['code']}: {answer['message']}"
    return "an output all the same" if answer["published"] else ""
