"""Tokenises texts: the only module that imports the `tokenizers` library."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle

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
        self.unknown_id = None if word is None else self._tokenizer.token_to_id(word)
        # Whatever padding and truncation the file asks for.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(bundle.max_length)
        # A tweet that says "<|endoftext|>" or "[SEP]" says so in words: its author does not
        # get to insert control tokens.
        self._tokenizer.encode_special_tokens = True

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Encode normalised texts; the library spreads them over its own threads."""
        rows: list[list[int]] = []
        truncated: list[bool] = []
        for slice_ in _slices(texts):
            for encoding in self._tokenizer.encode_batch_fast(slice_):
                rows.append(encoding.ids)
                truncated.append(bool(encoding.overflowing))
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return Tokens(
            ids=np.fromiter(chain.from_iterable(rows), np.int64, count=int(lengths.sum())),
            offsets=np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
            truncated=np.array(truncated, np.bool_),
        )


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts so that the library's encodings of a slice, before it truncates, stay small."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _ENCODED_AT_ONCE, side="right")))
        yield texts[start:stop]
        start = stop
