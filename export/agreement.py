"""How a bundle agrees with the checkpoint that it was made of, in words and against its bound."""

from scorer.inference.bundle.metadata import AsTrained


def in_half_precision(record: AsTrained) -> bool:
    """Tell whether the pipeline computes, or the bundle stores its weights, in half precision."""
    return record.rounded or record.dtype != "float32"


def described(record: AsTrained) -> str:
    """Return the figures as one clause."""
    texts = "texts" if record.normalizer == "none" else f"texts cleaned with {record.normalizer}"
    weights = " before its weights were rounded" if record.rounded else ""
    return (
        f"label agreement {record.label_agreement:.2%}, largest difference "
        f"{record.largest_difference:.1e} on {record.texts} {texts}, from transformers' pipeline "
        f"with the checkpoint in {record.dtype}{weights}"
    )
