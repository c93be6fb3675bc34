"""Prepares texts for a model: cleans them, tokenises them and joins equal ones.

The only module that imports the `tokenizers` library.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scorer.errors import DataError, InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.bundle.tokenizer_file import check_loaded
from scorer.inference.bundle.tokenizer_model import unknown_piece
from scorer.inference.gate import check_token_ids
from scorer.records import Counters

_ENCODED_AT_ONCE = 1 << 20  # characters; an encoding takes some 400 bytes for each of them


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Token ids of several texts, end to end."""

    ids: NDArray[np.int64]  # flat
    offsets: NDArray[np.int64]  # [texts + 1]; text i is ids[offsets[i]:offsets[i + 1]]
    truncated: NDArray[np.bool_]  # [texts]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the tokens per text, special ones included."""
        lengths: NDArray[np.int64] = np.diff(self.offsets)
        return lengths

    def row(self, index: int) -> NDArray[np.int64]:
        """Return the ids of one text."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def count(self, token: int | None) -> NDArray[np.int64]:
        """Return how often each text has a token; [texts]."""
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.ids == token)))
        counts: NDArray[np.int64] = np.diff(before[self.offsets])
        return counts

    def matrix(self, rows: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return the ids of texts of one length, [rows, length]."""
        places = self.offsets[rows][:, np.newaxis] + np.arange(length)
        result: NDArray[np.int64] = self.ids[places]
        return result

    def keys(self) -> list[bytes]:
        """Return the ids of each text as bytes: equal ones for equal texts."""
        ids = self.ids.astype(np.int32).tobytes()
        return [ids[start:stop] for start, stop in pairwise((4 * self.offsets).tolist())]

    def followed_by(self, other: "Tokens") -> "Tokens":
        """Return the tokens of these texts and then of the others."""
        return Tokens(
            np.concatenate((self.ids, other.ids)),
            np.concatenate((self.offsets, self.offsets[-1] + other.offsets[1:])),
            np.concatenate((self.truncated, other.truncated)),
        )

    def take(self, rows: NDArray[np.int64]) -> "Tokens":
        """Return the tokens of the given texts, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        ids = self.ids[np.repeat(self.offsets[rows], lengths) + within]
        return Tokens(ids, offsets, self.truncated[rows])


class TextTokenizer:
    """The bundle's tokenizer, with truncation and without padding."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / "tokenizer.json"
        content = bundle.read(path.name)
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises bare Exception
            raise InvalidBundle(
                f"{path} cannot be read as a tokenizer ({str(error)[:300]})",
                "export the model again",
            ) from error
        check_loaded(path, self._tokenizer)
        #: Tokens that every text gets; a text with no others is blank.
        self.special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if self.special_tokens >= bundle.max_length:
            raise InvalidBundle(
                f"{path} gives every text {self.special_tokens} tokens, of at most "
                f"{bundle.max_length}",
                "export the model again",
            )
        word = getattr(self._tokenizer.model, "unk_token", None)
        #: What stands for a text's parts that have no token; None where every part has one.
        self.unknown_id = (
            unknown_piece(content) if word is None else self._tokenizer.token_to_id(word)
        )
        # Whatever padding and truncation the file asks for.
        self._tokenizer.no_padding()
        text_rules = bundle.metadata
        self._tokenizer.enable_truncation(bundle.max_length, direction=text_rules.truncation_side)
        # With a model of ours a tweet that says "<|endoftext|>" or "[SEP]" says so in words: its
        # author does not get to insert control tokens. Others have what transformers makes of it.
        self._tokenizer.encode_special_tokens = text_rules.split_special_tokens

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Encode normalised texts; the library spreads them over its own threads."""
        rows: list[list[int]] = []
        truncated: list[bool] = []
        for slice_ in _slices(texts):
            for encoding in self._encoded(slice_):
                rows.append(encoding.ids)
                truncated.append(bool(encoding.overflowing))
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return Tokens(
            ids=np.fromiter(chain.from_iterable(rows), np.int64, count=int(lengths.sum())),
            offsets=np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
            truncated=np.array(truncated, np.bool_),
        )

    def _encoded(self, texts: Sequence[str]) -> Iterable[Any]:
        try:
            encodings: Iterable[Any] = self._tokenizer.encode_batch_fast(texts)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # which is no Exception
                raise
            # Oniguruma gives up after ten million steps: a run of as many blanks, in some patterns.
            raise DataError(
                f"the tokenizer gives up on a text, the longest of {len(texts)} has "
                f"{max(map(len, texts)):,} letters ({str(error)[:100]})",
                "shorten or leave out the text",
            ) from error
        return encodings


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts so that the library's encodings of a slice, before it truncates, stay small."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _ENCODED_AT_ONCE, side="right")))
        yield texts[start:stop]
        start = stop


T = TypeVar("T", bound=Hashable)


def unique(items: Iterable[T]) -> tuple[list[T], NDArray[np.int64]]:
    """Return the distinct items in order of appearance, and for each item which one it is."""
    places: dict[T, int] = {}
    rows = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(rows, np.int64)


def unique_tokens(tokens: Tokens) -> tuple[Tokens, NDArray[np.int64]]:
    """Return the distinct rows of token ids, and for each row which one it is."""
    _, rows = unique(tokens.keys())
    _, first = np.unique(rows, return_index=True)
    return tokens.take(first), rows


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A window ready for the model."""

    tokens: Tokens  # of the distinct texts
    rows: NDArray[np.int64]  # [rows]: which of them each row is; -1 where blank
    scorable: NDArray[np.int64]  # the distinct texts that are not blank
    counters: Counters
    lengths: NDArray[np.int64]  # [tokens of the longest + 1]; scored rows by their tokens

    def ids(self, row: int) -> list[int]:
        """Return the token ids of a row, special ones included; none where blank."""
        place = self.rows[row]
        return [] if place < 0 else self.tokens.row(place).tolist()


class Preparation:
    """A bundle's normaliser and tokenizer, checked on the canary's token ids.

    Raises:
        InvalidBundle: The tokenizer cannot be loaded.
        GateFailed: A canary text gets other token ids than in training.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._normalizer = bundle.normalizer
        self._tokenizer = TextTokenizer(bundle)
        self.canary = bundle.canary()
        self.prepared_canary = self(pl.Series(self.canary.texts, dtype=pl.String))
        ids = [self.prepared_canary.ids(row) for row in range(len(self.canary.texts))]
        check_token_ids(ids, self.canary, bundle)

    def __call__(self, texts: pl.Series) -> Prepared:
        """Normalise and tokenise one window, and find its distinct texts."""
        distinct, text_rows = unique(self._normalizer(texts).fill_null("").to_list())
        tokens, token_rows = unique_tokens(self._tokenizer(distinct))
        has_content = tokens.lengths > self._tokenizer.special_tokens
        rows = token_rows[text_rows]
        rows[~has_content[rows]] = -1
        (scorable,) = np.nonzero(has_content)
        lengths = np.bincount(tokens.lengths[rows[rows >= 0]])
        return Prepared(tokens, rows, scorable, self._count(tokens, rows), lengths)

    def _count(self, tokens: Tokens, rows: NDArray[np.int64]) -> Counters:
        scored = rows[rows >= 0]
        return Counters(
            rows=len(rows),
            scored=len(scored),
            blank=len(rows) - len(scored),
            equal=len(scored) - int(np.count_nonzero(np.bincount(scored))),
            truncated=int(tokens.truncated[scored].sum()),
            tokens=int(tokens.lengths[scored].sum()),
            unknown=int(tokens.count(self._tokenizer.unknown_id)[scored].sum()),
        )
