"""Thousands of damaged tokenizers: each is refused, or encodes in time without a panic."""

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.mutators import flip, flip_anywhere
from tests.hostile.workers import Worker
from tests.tokenizers_of import SENTENCEPIECE, TRAINED, trained

MEMORY = 4 << 30  # bytes of address space
SECONDS = 10.0  # of computing, for texts of 50,000 letters in all; the slowest honest one takes 0.4
PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model", "added_tokens")
CHILDREN = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
NUMBERS: tuple[Any, ...] = (None, True, -1, 0, 1, 2**31, 2**63, 0.5, 1e308)
STRINGS = ("", "a", "▁", "\u0301", " ", "é", "##", "\U0001f600", "x" * 300)
PATTERNS = ("(a+)+$", r"\s+$", "a?" * 9 + "b", r"\s", r"\p{L}+", " ?x+", "", "[a", r"\p{Nope}+")

Content = dict[str, Any]


def places(content: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield each container with a key of it; of a vocabulary, only a few."""
    if isinstance(content, (dict, list)) and depth < 12:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        for key in keys if len(keys) < 50 else keys[:: len(keys) // 20]:
            yield content, key
            yield from places(content[key], depth + 1)


def anywhere(chance: random.Random, content: Content) -> tuple[Any, Any]:
    part = chance.choice([name for name in PARTS if content.get(name)])
    return chance.choice([(content, part), *places(content[part])])


def replace_value(chance: random.Random, content: Content, _: list[Content]) -> None:
    holder, key = anywhere(chance, content)
    holder[key] = chance.choice([*NUMBERS, *STRINGS, [], {}])


def remove_value(chance: random.Random, content: Content, _: list[Content]) -> None:
    holder, key = anywhere(chance, content)
    del holder[key]


def change_string(chance: random.Random, content: Content, _: list[Content]) -> None:
    found = [(holder, key) for holder, key in places(content) if isinstance(holder[key], str)]
    holder, key = chance.choice(found)
    text = holder[key][:500]
    cut = chance.randrange(len(text) + 1)
    letter = chance.choice(["", "a", " ", "é", "\U0001f600", "\0", "|", "+", "*", "$", "{2}", "("])
    holder[key] = text[:cut] + letter + text[cut + chance.randrange(2) :]


def change_number(chance: random.Random, content: Content, _: list[Content]) -> None:
    found = [(holder, key) for holder, key in places(content) if type(holder[key]) in (int, float)]
    if found:
        holder, key = chance.choice(found)
        holder[key] = chance.choice([-1, 0, 1, holder[key] + 1, -holder[key], 700, 999, 2**32])


def graft(chance: random.Random, content: Content, others: list[Content]) -> None:
    """Put a component, or a whole part, of another family in front of, behind or into its own."""
    part = chance.choice([*CHILDREN, "model"])
    other = json.loads(json.dumps(chance.choice(others)[part]))
    if part == "model" or not content[part] or not other or chance.random() < 0.2:
        content[part] = other
        return
    kind = CHILDREN[part]
    own = content[part].get(kind) or [content[part]]
    own.insert(chance.randrange(len(own) + 1), chance.choice(other.get(kind) or [other]))
    content[part] = {"type": "Sequence", kind: own}


def repeat(chance: random.Random, content: Content, _: list[Content]) -> None:
    part = chance.choice([name for name in CHILDREN if content.get(name)])
    kind = CHILDREN[part]
    # A table of SentencePiece has 300 kB, and what was repeated may be repeated once more.
    most = 20_000 // len(json.dumps(content[part]))
    copies = min(chance.choice([2, 3, 30, 300]), max(2, most))
    content[part] = {"type": "Sequence", kind: [content[part]] * copies}


def add_token(chance: random.Random, content: Content, _: list[Content]) -> None:
    text = chance.choice(["", " ", "a", "\u0301", "é", "  ", "\x01", "ing", "\U0001f600", "▁"])
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    token = {"id": chance.choice([0, 700, 999]), "content": text}
    content["added_tokens"].append(token | {flag: chance.random() < 0.5 for flag in flags})


def set_pattern(chance: random.Random, content: Content, _: list[Content]) -> None:
    pattern = {chance.choice(["Regex", "String"]): chance.choice(PATTERNS)}
    if chance.random() < 0.5:
        content["normalizer"] = {"type": "Replace", "pattern": pattern, "content": "ab"}
    else:
        behavior = chance.choice(["Isolated", "Removed", "MergedWithNext", "Contiguous"])
        split = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}
        content["pre_tokenizer"] = split | {"invert": chance.random() < 0.3}


def damage_table(chance: random.Random, content: Content, others: list[Content]) -> None:
    """Turn over bits of SentencePiece's table, in its length, its trie or its replacements."""
    for one in [content, *others]:
        for holder, key in places(one["normalizer"]):
            if key == "precompiled_charsmap":
                table = base64.b64decode(holder[key])
                stop = chance.choice([4, 1500, len(table)])
                table = flip(chance, table[: chance.choice([len(table)] * 3 + [stop])], 0, stop)
                encoded = base64.b64encode(table).decode()
                content["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": encoded}
                return


STRUCTURE = (replace_value, remove_value, change_string, change_number, graft, graft, repeat)
CHANGES = (*STRUCTURE, add_token, set_pattern, damage_table, damage_table)


def mutant(number: int, seeds: list[bytes]) -> tuple[str, bytes]:
    """Return the name and the content of a mutant, the same ones every time."""
    chance = random.Random(number)  # noqa: S311 - chosen, not secret
    raw = chance.choice(seeds)
    if chance.random() < 0.1:
        return f"{number}-flip", flip_anywhere(chance, raw)
    content, names = json.loads(raw), []
    others = [json.loads(chance.choice(seeds)) for _ in range(2)]
    for _ in range(chance.choice([1, 1, 2, 3])):
        change = chance.choice(CHANGES)
        try:
            change(chance, content, others)
        except (AttributeError, LookupError, TypeError, ValueError):  # what earlier changes left
            continue
        names.append(change.__name__)
    return f"{number}-{'-'.join(names)}", json.dumps(content).encode()


def test_each_is_refused_or_encodes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, count: Callable[[int, int], int]
) -> None:
    """No panic, no hang, no gigabytes, no id that the model lacks."""
    every_day, families = ["albert", "llama", "electra", "qwen2"], [*SENTENCEPIECE, *TRAINED]
    kept = families[: count(0, len(families))] or every_day
    seeds = [(trained(tmp_path_factory, name) / "tokenizer.json").read_bytes() for name in kept]
    path, seen, faults = tmp_path / "tokenizer.json", Counter[str](), []
    first = int(os.environ.get("FIRST_MUTANT", "0"))  # where a long run by hand goes on
    with Worker(MEMORY, module="tests.hostile.tokenizer_worker") as worker:
        for number in range(first, first + count(200, 20_000)):
            name, content = mutant(number, seeds)
            path.write_bytes(content)
            answer = worker.score(path, compare=False)
            seen[answer["outcome"]] += 1
            fine = answer["outcome"] in ("refused", "unreadable", "encoded")
            if not fine or answer["seconds"] > SECONDS:
                faults.append(f"{name}: {answer}")
    assert faults == []
    assert seen["refused"] > sum(seen.values()) / 10, seen
    assert seen["encoded"] > sum(seen.values()) / 10, seen
