"""Checks the model of a tokenizer: its vocabulary and what it does to a word."""

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from scorer.inference.bundle.untrusted import invalid, is_whole, shown

MAX_TEXT = 256  # letters of an added token, or of anything said in a component
_MAX_WORD = 200  # letters; WordPiece needs their cube in time, and BERT has 100
_MAX_PIECE = 128  # letters; Unigram tries every piece at every letter, and SentencePiece has 16
_MAX_SCORE = 1e9  # they are logarithms of probabilities
_MAX_PIECES = 4_000_000  # bytes of all pieces; each may take the library 320
_UNKNOWN_PIECE = re.compile(rb'"unk_id"\s*:\s*(\d{1,9})')


def unknown_piece(raw: bytes) -> int | None:
    """Return the id that Unigram has for an unknown letter, which its library does not tell.

    Within a text of JSON the quotes of such a name would have a backslash before them.
    """
    found = _UNKNOWN_PIECE.search(raw)
    return int(found[1]) if found else None


def verify_model(path: Path, model: Mapping[str, Any], tokens: int) -> Container[str]:
    """Check a tokenizer's model, for a classifier of so many tokens; return its vocabulary."""
    kind = model["type"]
    if model.get("dropout"):
        raise invalid(path, "has a dropout: equal texts would get different tokens")
    if kind == "Unigram":
        return _verify_pieces(path, model, tokens)
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        raise invalid(path, "has no vocabulary")
    ids = vocabulary.values()  # in columns: GPT-2 has 50,257, and every run checks them
    if {*map(type, ids)} - {int} or not 0 <= min(ids, default=0) <= max(ids, default=0) < tokens:
        raise invalid(path, f"has ids in its vocabulary that are not from 0 to {tokens - 1}")
    # WordPiece and WordLevel fail on a word that they do not know if they have no token for it.
    needed = {"WordPiece": "[UNK]", "WordLevel": "<unk>"}.get(kind)
    unknown = model.get("unk_token", needed)
    if (needed or unknown is not None) and (
        not isinstance(unknown, str) or unknown not in vocabulary
    ):
        raise invalid(path, f"has the unknown token {shown(unknown)}, not in its vocabulary")
    longest = model.get("max_input_chars_per_word", 0)
    prefix = model.get("continuing_subword_prefix") or ""
    suffix = model.get("end_of_word_suffix") or ""
    if not is_whole(longest, 0, _MAX_WORD) or not (_is_affix(prefix) and _is_affix(suffix)):
        raise invalid(path, f"splits words of more than {_MAX_WORD} letters, or by a long prefix")
    if kind == "BPE" and prefix:
        _verify_prefixed(path, model.get("merges"), prefix)
    return vocabulary


def _is_affix(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _verify_prefixed(path: Path, merges: object, prefix: str) -> None:
    """Check that what is merged to a word has the prefix: the library cuts it off unseen."""
    for merge in merges if isinstance(merges, list) else [None]:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        right = parts[-1] if isinstance(parts, list) and len(parts) == 2 else None
        if not isinstance(right, str) or not right.startswith(prefix):
            raise invalid(path, f"merges {shown(merge)}, which lacks its prefix {shown(prefix)}")


def _verify_pieces(path: Path, model: Mapping[str, Any], tokens: int) -> frozenset[str]:
    """Check the pieces of Unigram. An empty one would be no step forward."""
    pieces = model.get("vocab")
    if not isinstance(pieces, list) or not 0 < len(pieces) <= tokens:
        raise invalid(path, f"needs a vocabulary of 1 to {tokens} pieces")
    if not all(isinstance(piece, list) and len(piece) == 2 for piece in pieces):
        raise invalid(path, "has a piece that is not a text with its score")
    texts, scores = zip(*pieces, strict=True)  # in columns: XLM-RoBERTa has 250,002
    if {*map(type, texts)} - {str} or not 0 < min(map(len, texts)) <= max(map(len, texts)) <= (
        _MAX_PIECE
    ):
        raise invalid(path, f"has a piece that is no text of 1 to {_MAX_PIECE} letters")
    if {*map(type, scores)} - {int, float} or not all(
        -_MAX_SCORE < score < _MAX_SCORE for score in scores
    ):
        raise invalid(path, "has a piece whose score is not a finite number")
    if sum(len(text.encode("utf-8", "replace")) for text in texts) > _MAX_PIECES:
        raise invalid(path, f"has pieces of more than {_MAX_PIECES} bytes")
    if not is_whole(model.get("unk_id"), 0, len(pieces) - 1):
        raise invalid(path, f"has the unknown piece {shown(model.get('unk_id'))}, which it lacks")
    return frozenset(texts)
