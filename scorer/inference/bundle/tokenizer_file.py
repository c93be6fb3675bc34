"""Checks a bundle's tokenizer.json before a library reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer.inference.bundle.untrusted import invalid, is_whole, parse_json, shown

# What the tokenizers of BERT, DistilBERT, RoBERTa and GPT-2 are made of. Left out on purpose:
# components that run a regular expression of the file's own (Split, Replace) or parse a binary
# table (Precompiled).
_TOKENIZER_COMPONENTS = {
    "model": frozenset({"WordPiece", "BPE"}),
    "normalizer": frozenset({"BertNormalizer", "Sequence", "NFC", "NFD", "NFKC", "NFKD"})
    | {"Lowercase", "StripAccents"},
    "pre_tokenizer": frozenset({"BertPreTokenizer", "ByteLevel", "Sequence"})
    | {"Whitespace", "WhitespaceSplit"},
    "post_processor": frozenset({"BertProcessing", "RobertaProcessing", "TemplateProcessing"})
    | {"ByteLevel", "Sequence"},
    "decoder": frozenset({"WordPiece", "ByteLevel", "Sequence", "BPEDecoder"}),
}


MAX_TOKENS = 1_000_000  # GPT-2 has 50,257
_MAX_ADDED_TOKENS = 1_000
_MAX_TEXT = 256  # letters of an added token, or of anything said in a component
_MAX_VALUES = 200  # in a component; BERT's template has 85
_MAX_WORD = 1_000  # letters; WordPiece needs their square in time
_MAX_NESTING = 8


def verify_tokenizer(path: Path, raw: bytes, tokens: int = MAX_TOKENS) -> None:
    """Check that a tokenizer is built of known components only, for a model of so many tokens."""
    content = parse_json(path, raw)
    for name, allowed in _TOKENIZER_COMPONENTS.items():
        part = content.get(name)
        if part is None and name != "model":
            continue
        for component in _components(part):
            is_object = isinstance(component, dict)
            kind = component.get("type") if is_object else type(component).__name__
            if not isinstance(kind, str) or kind not in allowed:
                raise invalid(path, f"has a {name} of the type {shown(kind)}, which is not allowed")
            if kind == "TemplateProcessing":
                _check_template(path, component)
        if name != "model":
            _check_values(path, name, part, tokens)
    _check_model(path, content["model"], tokens)
    _check_added_tokens(path, content.get("added_tokens", []), tokens)


def _components(component: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a component and those it is a sequence of; a list stands for one nested too deep."""
    if depth > _MAX_NESTING:
        component = [component]
    yield component
    if not isinstance(component, dict):
        return
    for nested in ("normalizers", "pretokenizers", "processors", "decoders"):
        children = component.get(nested, [])
        for child in children if isinstance(children, list) else [children]:
            yield from _components(child, depth + 1)


def _check_template(path: Path, template: dict[str, Any]) -> None:
    """Look up each token of a template: the library aborts on one that is not defined."""
    known = template.get("special_tokens")
    names = known if isinstance(known, dict) else {}
    for name in ("single", "pair"):
        parts = template.get(name)
        for part in parts if isinstance(parts, list) else []:
            token = part.get("SpecialToken") if isinstance(part, dict) else None
            named = token.get("id") if isinstance(token, dict) else None
            if isinstance(named, str) and named not in names:
                raise invalid(path, f"has a template with {shown(named)}, which it does not define")


def _check_values(path: Path, part: str, component: Any, tokens: int) -> None:
    """Check the values of a component: lengths, and ids that the model has."""
    waiting, seen = [component], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif not _is_small(value, tokens):
            raise invalid(path, f"has a {part} with {shown(value)}, which is out of bounds")
        if seen > _MAX_VALUES:
            raise invalid(path, f"has a {part} of more than {_MAX_VALUES} values")


def _is_small(value: object, tokens: int) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    return not isinstance(value, (int, float)) or 0 <= value < tokens


def _check_model(path: Path, model: dict[str, Any], tokens: int) -> None:
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        raise invalid(path, "has no vocabulary")
    ids = vocabulary.values()  # in columns: GPT-2 has 50,257, and every run checks them
    if {*map(type, ids)} - {int} or not 0 <= min(ids, default=0) <= max(ids, default=0) < tokens:
        raise invalid(path, f"has ids in its vocabulary that are not from 0 to {tokens - 1}")
    unknown = model.get("unk_token", "[UNK]" if model["type"] == "WordPiece" else None)
    if unknown is not None and (not isinstance(unknown, str) or unknown not in vocabulary):
        raise invalid(path, f"has the unknown token {shown(unknown)}, not in its vocabulary")
    if model.get("dropout"):
        raise invalid(path, "has a dropout: equal texts would get different tokens")
    if model["type"] == "BPE" and model.get("continuing_subword_prefix"):
        raise invalid(path, "has a continuing_subword_prefix, which no BPE of ours has")
    longest = model.get("max_input_chars_per_word", 0)
    prefix = model.get("continuing_subword_prefix") or ""
    if not is_whole(longest, 0, _MAX_WORD) or not _is_small(prefix, tokens):
        raise invalid(path, f"splits words of more than {_MAX_WORD} letters, or by a long prefix")


def _check_added_tokens(path: Path, added: Any, tokens: int) -> None:
    if not isinstance(added, list) or len(added) > _MAX_ADDED_TOKENS:
        raise invalid(path, f"needs added_tokens: a list of at most {_MAX_ADDED_TOKENS}")
    for token in added:
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not 0 < len(content) <= _MAX_TEXT:
            raise invalid(path, f"has an added token without a text of 1 to {_MAX_TEXT} letters")
        if not is_whole(token.get("id"), 0, tokens - 1):
            raise invalid(path, f"has the added token {shown(content)} with an id beyond {tokens}")
