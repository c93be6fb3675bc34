"""The ``tweetscore.json`` of stub bundles, which have no files."""

from typing import Any

import msgspec

from scorer.inference.bundle.metadata import Metadata, Rules


def stub_metadata(**fields: Any) -> Metadata:
    """Return metadata of a stub with some fields of one's own."""
    return msgspec.structs.replace(_STUB, **fields)


_STUB = Metadata(
    name="stub",
    version="1",
    model_type="bert",
    labels=("negative", "neutral", "positive"),
    normalizer=Rules(1, "keep"),
    max_length=128,
    pad_token_id=0,
    temperature=1.0,
    graphs={},
    libraries={},
    files={},
)
