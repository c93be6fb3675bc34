"""PyTorch's answers in fp32, and how far an output is from them.

    python -m benchmarks.reference FOLDER ROWS OUTPUT TEMPERATURE

The reference is computed once, in batches of one token length, so that nothing is padded. Both
sides are compared at the bundle's temperature, which is what tweetscore serves: probabilities at
temperature 1 (the peers') are brought to it by p^(1/T), made to add up to 1.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUDGET = 2048  # tokens of a batch


def compute(folder: Path, rows: int) -> None:
    """Keep the probabilities at temperature 1 and the token counts of the first `rows` texts."""
    file = folder / f"reference-{rows}.npz"
    if file.exists():
        return
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from scorer.inference.session import plan_batches

    facts = json.loads((folder / "model.json").read_text("utf-8"))
    loader: Any = AutoTokenizer
    tokenizer = loader.from_pretrained(folder / "checkpoint")
    texts = _column(folder / f"normalised-{rows}.parquet", "text").tolist()
    ids = tokenizer(
        texts, truncation=True, max_length=facts["max_length"], split_special_tokens=True
    )["input_ids"]
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder / "checkpoint").eval()
    logits = torch.empty(len(ids), len(facts["labels"]))
    lengths = np.array([len(row) for row in ids])
    with torch.inference_mode():
        for batch in plan_batches(lengths, BUDGET):
            tokens = torch.tensor([ids[row] for row in batch.rows])
            mask = torch.ones_like(tokens)
            logits[batch.rows] = model(input_ids=tokens, attention_mask=mask).logits
    np.savez(file, probabilities=logits.softmax(1).numpy(), lengths=lengths)


def compare(folder: Path, rows: int, output: Path, temperature: float) -> dict[str, float]:
    """Return the label agreement and the largest difference of a probability.

    Args:
        folder: Where the reference is.
        rows: Texts in the output; the reference may have more.
        output: Parquet with label and score_LABEL.
        temperature: At which the output's probabilities are.
    """
    facts = json.loads((folder / "model.json").read_text("utf-8"))
    served = facts["temperature"]
    expected = at_temperature(kept(folder)["probabilities"][:rows], 1.0, served)
    names = [f"score_{label}" for label in facts["labels"]]
    found = np.stack([_column(output, name) for name in names], axis=1)
    found = at_temperature(found, temperature, served)
    if found.shape != expected.shape:
        raise SystemExit(f"{output} has {len(found)} rows and not {rows}")
    best = np.array(facts["labels"], dtype=object)[expected.argmax(axis=1)]
    return {
        "agreement": float((_column(output, "label") == best).mean()),
        "max_difference": float(np.abs(found - expected).max()),
    }


def at_temperature(
    probabilities: NDArray[np.floating[Any]], is_at: float, wanted: float
) -> NDArray[np.float64]:
    """Return probabilities [rows, classes] as another temperature would have given them."""
    powers = probabilities.astype(np.float64) ** (is_at / wanted)
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def kept(folder: Path) -> dict[str, NDArray[Any]]:
    """Return probabilities and lengths of as many texts as were ever computed."""
    with np.load(max(folder.glob("reference-*.npz"), key=_rows_of)) as arrays:
        return dict(arrays)


def _rows_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _column(path: Path, name: str) -> NDArray[Any]:
    import pyarrow.parquet as pq

    column: NDArray[Any] = pq.ParquetFile(path).read(columns=[name])[name].to_numpy()
    return column


if __name__ == "__main__":
    _, where, count, scored, degrees = sys.argv
    said = compare(Path(where), int(count), Path(scored), float(degrees))
    sys.stdout.write(json.dumps(said) + "\n")
