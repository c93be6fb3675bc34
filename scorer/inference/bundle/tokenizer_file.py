"""Checks a bundle's tokenizer.json before a library reads it.

docs/tokenizers.md says what each component does and why it is read, or why it is not.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.inference.bundle.charsmap import UnfitCharsmapError, longest_replacement
from scorer.inference.bundle.linear_patterns import is_bounded
from scorer.inference.bundle.tokenizer_model import MAX_TEXT, verify_model
from scorer.inference.bundle.untrusted import invalid, is_whole, parse_json, shown

# Left out on purpose: what no family has (FixedLength panics on a length of 0, CTC), and what
# makes a text longer each time (a component of `_ONCE` a second time).
_COMPONENTS = {
    "model": frozenset({"BPE", "Unigram", "WordLevel", "WordPiece"}),
    "normalizer": frozenset({"BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC"})
    | {"NFKD", "Nmt", "Precompiled", "Prepend", "Replace", "Sequence", "Strip", "StripAccents"},
    "pre_tokenizer": frozenset({"BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits"})
    | {"Metaspace", "Punctuation", "Sequence", "Split", "UnicodeScripts", "Whitespace"}
    | {"WhitespaceSplit"},
    "post_processor": frozenset({"BertProcessing", "RobertaProcessing", "TemplateProcessing"})
    | {"ByteLevel", "Sequence"},
    "decoder": frozenset({"BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Metaspace"})
    | {"Replace", "Sequence", "Strip", "WordPiece"},
}
# Each of them may double a text, or give it a new beginning.
_ONCE = frozenset({"ByteLevel", "Metaspace", "Precompiled", "Prepend"})
# Each of them writes tokens into every text; a second one panics, or writes more than it says.
_WRITERS = frozenset({"BertProcessing", "RobertaProcessing", "TemplateProcessing"})
_CHILDREN = ("normalizers", "pretokenizers", "processors", "decoders")
# Judged by itself, not as one of the component's values.
_JUDGED = {"Precompiled": "precompiled_charsmap", "Replace": "pattern", "Split": "pattern"}

MAX_TOKENS = 1_000_000  # GPT-2 has 50,257, Gemma 262,144
_MAX_PARENTHESES = 2_000_000  # lists and objects; Gemma has 594,000
_MAX_ADDED_TOKENS = 10_000  # Gemma 3 has 6,400
_MAX_ADDED_TEXT = 250_000  # letters of all of them
_MAX_VALUES = 200  # in a component; BERT's template has 85
_MAX_NESTING = 8
_MAX_GROWTH = 64  # letters that all Replace and Precompiled together make of one


def verify_tokenizer(path: Path, raw: bytes, tokens: int = MAX_TOKENS) -> None:
    """Check that a tokenizer is built of known components only, for a model of so many tokens."""
    if raw.count(b"[") + raw.count(b"{") > _MAX_PARENTHESES:
        raise invalid(path, f"has more than {_MAX_PARENTHESES} lists and objects")
    content = parse_json(path, raw)
    for name, allowed in _COMPONENTS.items():
        part = content.get(name)
        if part is not None or name == "model":
            kinds = [_kind(path, name, component, allowed) for component in _components(part)]
        if part is not None and name != "model":
            _check_part(path, name, part, kinds, tokens)
    known = verify_model(path, content["model"], tokens)
    _check_added_tokens(path, content, known, tokens)


def _components(component: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a component and those it is a sequence of; a list stands for one nested too deep."""
    if depth > _MAX_NESTING:
        component = [component]
    yield component
    if not isinstance(component, dict):
        return
    for nested in _CHILDREN:
        children = component.get(nested, [])
        for child in children if isinstance(children, list) else [children]:
            yield from _components(child, depth + 1)


def _kind(path: Path, part: str, component: Any, allowed: frozenset[str]) -> str:
    is_object = isinstance(component, dict)
    kind = component.get("type") if is_object else type(component).__name__
    if not isinstance(kind, str) or kind not in allowed:
        raise invalid(path, f"has a {part} of the type {shown(kind)}, which is not allowed")
    return kind


def _check_part(path: Path, part: str, top: Any, kinds: list[str], tokens: int) -> None:
    """Check the values of a part's components, and how long they can make a text."""
    for kind in sorted(_ONCE.intersection(kinds)):
        if kinds.count(kind) > 1:
            raise invalid(path, f"has a {part} with {kind} twice: each makes a text longer")
    if sum(kind in _WRITERS for kind in kinds) > 1:
        raise invalid(path, f"has a {part} that writes tokens into a text twice")
    seen, growth = 0, 1.0
    for component, kind in zip(_components(top), kinds, strict=True):
        left_out = (*_CHILDREN, _JUDGED.get(kind))
        own = {key: value for key, value in component.items() if key not in left_out}
        seen += 1 + _count_values(path, part, own, tokens)
        if seen > _MAX_VALUES:
            raise invalid(path, f"has a {part} of more than {_MAX_VALUES} values")
        growth *= _growth(path, part, component)
    if growth > _MAX_GROWTH:
        raise invalid(path, f"has a {part} that makes more than {_MAX_GROWTH} letters of one")


def _growth(path: Path, part: str, component: Mapping[str, Any]) -> float:
    """Check what a component replaces or splits at; return how many letters it makes of one."""
    kind = component["type"]
    if kind == "Precompiled":
        table = component.get("precompiled_charsmap")
        if not isinstance(table, str):
            raise invalid(path, "has a Precompiled without its table")
        try:
            return longest_replacement(table)
        except UnfitCharsmapError as error:
            raise invalid(path, f"has a Precompiled that is not read: {error}") from error
    if kind in ("Replace", "Split"):
        shortest = _check_pattern(path, part, component.get("pattern"))
        content = component.get("content", "")
        return max(1.0, len(content) / shortest) if isinstance(content, str) else 1.0
    if kind == "TemplateProcessing":
        _check_template(path, component)
    return 1.0


def _check_pattern(path: Path, part: str, pattern: object) -> int:
    """Check a pattern; return the least letters that it matches."""
    if isinstance(pattern, dict) and len(pattern) == 1:
        text = pattern.get("String")
        if isinstance(text, str) and 0 < len(text) <= MAX_TEXT:
            return len(text)
        expression = pattern.get("Regex")
        if isinstance(expression, str) and is_bounded(expression):
            return 1
    raise invalid(
        path,
        f"has a {part} with the pattern {shown(pattern)}, which is not known to take linear time",
    )


def _check_template(path: Path, template: Mapping[str, Any]) -> None:
    """Check a template: the library panics on a token that it does not define, or a second text."""
    known = template.get("special_tokens")
    names = known if isinstance(known, dict) else {}
    for token in names.values():
        lists = [token.get(key) if isinstance(token, dict) else None for key in ("ids", "tokens")]
        if not all(isinstance(x, list) for x in lists) or len({len(x or ()) for x in lists}) > 1:
            raise invalid(path, "has a template with a token that has not as many ids as texts")
    for name in ("single", "pair"):
        for named in _named(template.get(name), "SpecialToken"):
            if isinstance(named, str) and named not in names:
                raise invalid(path, f"has a template with {shown(named)}, which it does not define")
    texts = _named(template.get("single"), "Sequence")
    if texts != ["A"]:
        raise invalid(path, f"has a template for {shown(texts)}, not for one text")


def _named(parts: object, kind: str) -> list[object]:
    """Return the ids of the parts of a template that are of a kind."""
    pieces = parts if isinstance(parts, list) else []
    values = [piece[kind] for piece in pieces if isinstance(piece, dict) and kind in piece]
    return [value.get("id") if isinstance(value, dict) else None for value in values]


def _count_values(path: Path, part: str, component: Any, tokens: int) -> int:
    """Check the values of a component: lengths, and ids that the model has; return how many."""
    waiting, seen = [component], 0
    while waiting and seen <= _MAX_VALUES:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif not _is_small(value, tokens):
            raise invalid(path, f"has a {part} with {shown(value)}, which is out of bounds")
    return seen


def _is_small(value: object, tokens: int) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return not isinstance(value, (int, float)) or 0 <= value < tokens


def _check_added_tokens(
    path: Path, content: Mapping[str, Any], known: Container[str], tokens: int
) -> None:
    added = content.get("added_tokens", [])
    if not isinstance(added, list) or len(added) > _MAX_ADDED_TOKENS:
        raise invalid(path, f"needs added_tokens: a list of at most {_MAX_ADDED_TOKENS}")
    texts: list[str] = []
    for token in added:
        text = token.get("content") if isinstance(token, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            raise invalid(path, f"has an added token without a text of 1 to {MAX_TEXT} letters")
        if not is_whole(token.get("id"), 0, tokens - 1):
            raise invalid(path, f"has the added token {shown(text)} with an id beyond {tokens}")
        texts.append(text)
    if sum(map(len, texts)) > _MAX_ADDED_TEXT:
        raise invalid(path, f"has added tokens of more than {_MAX_ADDED_TEXT} letters")
    # Whatever ids the file says: the library counts on from its own vocabulary.
    new = {text for text in texts if text not in known}
    if len(content["model"]["vocab"]) + len(new) > tokens:
        raise invalid(path, f"has {len(new)} tokens beside its vocabulary, beyond {tokens}")


def check_loaded(path: Path, tokenizer: Any) -> None:
    """Check a tokenizer that its library has loaded, before it gets a text.

    What its own normaliser makes nothing of would be found at every place, halves of letters
    included, and the library panics.

    Raises:
        InvalidBundle: An added token is of that kind.
    """
    if tokenizer.normalizer is None:
        return
    for token in tokenizer.get_added_tokens_decoder().values():
        if token.normalized and not tokenizer.normalizer.normalize_str(token.content):
            raise invalid(
                path, f"has the added token {shown(token.content)}, which its normalizer removes"
            )
