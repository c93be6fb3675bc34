"""The tokenizer of a checkpoint: its tokenizer.json, or what transformers makes of older files.

Whoever has trained or run such a checkpoint with transformers has had the same conversion: its
AutoTokenizer makes it at each start, where the files allow it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unicodedata import category, combining

from export.source.files import optional
from scorer.errors import InvalidBundle
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.charsmap import UnfitCharsmapError, check_table
from scorer.inference.bundle.tokenizer_file import MAX_TOKENS, verify_tokenizer

_TEXTS = Path(__file__).parents[1] / "parity" / "canary_texts.json"
_LEAST_TEXTS = 100  # that a conversion must be compared on
_UNIGRAM_OR_BPE = (1, 2)  # SentencePiece's numbers of its kinds
_FAILURES = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError)
_INSTEAD = (
    "choose a model with a tokenizer.json, for tweets in English: tweetscore model export "
    "hf:cardiffnlp/twitter-roberta-base-sentiment-latest -o sentiment/ (in Spanish: "
    "hf:pysentimiento/robertuito-sentiment-analysis)"
)
_BY_HAND = (
    "convert it yourself, compare, and save it: AutoTokenizer.from_pretrained(...)"
    ".save_pretrained(...)"
)


def load_tokenizer(directory: Path, model_type: str, **settings: Any) -> Any:
    """Load the fast tokenizer of a directory whose JSON files are judged.

    Args:
        directory: Holds the tokenizer's files and, unless these name its class, config.json.
        model_type: Of the model; says which class reads the files where nothing else does.
        settings: What `from_pretrained` is asked for.

    Raises:
        InvalidBundle: There is no fast one, its files are not allowed, or the conversion gives
            other ids than the slow one.
    """
    import transformers

    converted = not (directory / "tokenizer.json").is_file()
    if converted:
        _require_fast_form(directory, _class_of(directory, model_type))
        for path in sorted(directory.glob("*.model")):
            _check_sentencepiece(path)
    auto: Any = transformers.AutoTokenizer
    try:
        tokenizer = auto.from_pretrained(
            directory, use_fast=True, trust_remote_code=False, local_files_only=True, **settings
        )
    except (*_FAILURES, TypeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise InvalidBundle(
            f"transformers cannot read the tokenizer in {directory} "
            f"({type(error).__name__}: {reason})",
            "save it there with tokenizer.save_pretrained(...)",
        ) from error
    if not tokenizer.is_fast:
        raise _no_fast_form(directory, type(tokenizer).__name__)
    if converted:
        content = tokenizer.backend_tokenizer.to_str().encode()
        verify_tokenizer(directory / "tokenizer.json", content)
        _require_same_ids(directory, tokenizer, settings)
    return tokenizer


def _class_of(directory: Path, model_type: str) -> str:
    """Return the name of the class in Python that reads a directory's files."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    for name in ("tokenizer_config.json", "config.json"):
        said = (optional(directory / name) or {}).get("tokenizer_class")
        if isinstance(said, str):
            return said.removesuffix("Fast")
    if (directory / "bpe.codes").is_file():
        return "BertweetTokenizer"
    slow, fast = TOKENIZER_MAPPING_NAMES.get(model_type, (None, None))
    return str(slow or fast or model_type).removesuffix("Fast")


def _require_fast_form(directory: Path, name: str) -> None:
    from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS

    if name not in SLOW_TO_FAST_CONVERTERS:
        raise _no_fast_form(directory, name)


def _no_fast_form(directory: Path, name: str) -> InvalidBundle:
    return InvalidBundle(
        f"the tokenizer in {directory} is a {name}, of which transformers has no fast form",
        _INSTEAD,
    )


def _check_sentencepiece(path: Path) -> None:
    """Check a file of SentencePiece, before its own library in C++ reads it."""
    from transformers.convert_slow_tokenizer import import_protobuf
    from transformers.tokenization_utils_base import import_protobuf_decode_error

    model = import_protobuf().ModelProto()
    try:
        model.ParseFromString(untrusted.read_bytes(path.resolve()))
    except import_protobuf_decode_error() as error:
        raise InvalidBundle(f"{path} is no file of SentencePiece", "fetch it again") from error
    if not 0 < len(model.pieces) <= MAX_TOKENS:
        raise InvalidBundle(f"{path} has {len(model.pieces)} pieces", "fetch it again")
    if model.trainer_spec.model_type not in _UNIGRAM_OR_BPE:
        raise InvalidBundle(
            f"{path} splits into words or letters, which has no fast form", _INSTEAD
        )
    for rules in (model.normalizer_spec, model.denormalizer_spec):
        try:
            if rules.precompiled_charsmap:
                check_table(rules.precompiled_charsmap)
        except UnfitCharsmapError as error:
            raise InvalidBundle(
                f"{path} has a table of replacements that is not read: {error}", "fetch it again"
            ) from error


def _require_same_ids(directory: Path, fast: Any, settings: Mapping[str, Any]) -> None:
    """Compare a converted tokenizer with the slow one, on the texts of the canary.

    Left out is what transformers is known to convert otherwise, and what its users have had
    otherwise in the same way: names of control tokens, letters without a piece, which
    SentencePiece may write in bytes, and marks that stand alone, such as the selectors of emoji,
    which ALBERT's and XLNet's fast forms remove.
    """
    slow = fast.slow_tokenizer_class.from_pretrained(
        directory, trust_remote_code=False, local_files_only=True, **settings
    )
    texts: list[str] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    compared = 0
    for text in texts:
        ids = fast(text)["input_ids"]
        named = any(token in text for token in fast.all_special_tokens)
        if named or fast.unk_token_id in ids or any(map(_is_lone_mark, text)):
            continue
        compared += 1
        if slow(text)["input_ids"] != ids:
            raise InvalidBundle(
                f"the tokenizer in {directory} gives {text[:60]!r} other ids once it is converted",
                _BY_HAND,
            )
    if compared < _LEAST_TEXTS:
        raise InvalidBundle(
            f"the tokenizer in {directory} knows the letters of {compared} of {len(texts)} texts: "
            "too few to compare it with its converted form",
            _BY_HAND,
        )


def _is_lone_mark(letter: str) -> bool:
    return category(letter) == "Mn" and not combining(letter)
