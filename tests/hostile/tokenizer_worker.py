"""Checks, loads and uses one tokenizer after the other, in a process that may be killed.

Reads a line of JSON for each file from stdin and answers with one: what became of it, and the time
that it took.
"""

import json
import resource
import sys
import time
from pathlib import Path

from tokenizers import Tokenizer

from scorer.errors import InvalidBundle
from scorer.inference.bundle.tokenizer_file import check_loaded, verify_tokenizer

TOKENS = 1_000  # of the model that the tokenizer is said to belong to
MAX_LENGTH = 128
LONG = 3_000  # letters
TEXTS = (
    "",
    " ",
    "Hello, World 12 345! I'll say it's `` quoted ''...",
    "so happy \U0001f602 \U0001f469\u200d\U0001f4bb #blessed @friend https://t.co/x",
    "ﷺ ½ ﬁ Ⅻ é e\u0301 İstanbul ß ŉ \u1e9e",
    "مرحبا नमस्ते 漢字かな交じり ไทย \u1100\u1161\u11a8",
    "\u200b\ufeff\x00\x01\u0301 \t\r\n end  ",
    "<s> </s> [CLS] [MASK] <mask> <|endoftext|> <unk> ▁ ##a <0x41>",
    *(letter * LONG for letter in ("a", " ", "é", "\u0301", "\U0001f600", "a ", "\r\n", "A", "1!")),
    "ﷺ" * (LONG // 10),
)


def main(memory: int) -> None:
    """Answer requests until there are none."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        path = Path(json.loads(line)["input"])
        start = time.process_time()
        try:
            answer = _attempt(path)
        except BaseException as error:  # noqa: BLE001 - a panic is no Exception
            answer = f"raised {type(error).__name__}: {error}"
        seconds = time.process_time() - start
        print(json.dumps({"outcome": answer, "seconds": seconds}), flush=True)  # noqa: T201 - the answer to the parent


def _attempt(path: Path) -> str:
    raw = path.read_bytes()
    try:
        verify_tokenizer(path, raw, TOKENS)
    except InvalidBundle as error:
        return "refused" if str(error).isprintable() and len(str(error)) < 700 else str(error)
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception:  # noqa: BLE001 - the library raises bare Exception, and a run exits with 78
        return "unreadable"
    try:
        check_loaded(path, tokenizer)
    except InvalidBundle:
        return "refused"
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    for special in (True, False):
        tokenizer.encode_special_tokens = special
        for encoding in tokenizer.encode_batch_fast(list(TEXTS)):
            if len(encoding.ids) > MAX_LENGTH or max(encoding.ids, default=0) >= TOKENS:
                return f"gives {len(encoding.ids)} tokens up to {max(encoding.ids)}"
    return "encoded"


if __name__ == "__main__":
    main(int(sys.argv[1]))
