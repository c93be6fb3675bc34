"""How far a rewritten model's logits are from those of the model that it was made of."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from transformers import PreTrainedModel

from export.source.sizes import stated_positions

# Of any logit. Two orders of summation of fp32 differ by about 1e-6.
TOLERANCE = 1e-5
_SHAPES = ((1, 3), (2, 7), (3, 16), (5, 40), (2, 120))  # rows, tokens


def largest_difference(
    model: PreTrainedModel, reference: PreTrainedModel, *, padded: bool = True
) -> float:
    """Return the largest difference of any logit, on random tokens with and without padding.

    Values may be of any size, and the errors of fp32 grow with it: the difference is divided by
    the range of the values where that is larger than 1; of logits, whose range the probabilities
    do not have, by a tenth of it.
    """
    with torch.inference_mode():
        answers = [
            (model(**inputs).logits, reference(**inputs).logits)
            for inputs in _probes(reference.config, padded)
        ]
    differences: list[float] = [(ours - theirs).abs().max().item() for ours, theirs in answers]
    if any(map(math.isnan, differences)):
        return float("nan")
    values = torch.cat([theirs.flatten() for _, theirs in answers])
    single = reference.config.num_labels == 1
    extent = (values.max() - values.min()).item()
    unit = max(1.0, extent if single else extent / 10)
    return max(differences, default=0.0) / unit


def longest_of(config: Any) -> int:
    """Return how many tokens a model of that configuration is probed with, at most 512."""
    return min(stated_positions(config.to_dict()) or 512, 512)


def _probes(config: Any, padded: bool) -> Iterator[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    pad = config.pad_token_id
    longest = longest_of(config)
    for rows, tokens in _SHAPES:
        # Without a pad id transformers takes one text at a time.
        shape = (1 if pad is None else rows, min(tokens, longest))
        ids = torch.randint(config.vocab_size, shape, generator=generator)
        mask = torch.ones_like(ids)
        if pad is None:
            yield {"input_ids": ids, "attention_mask": mask}
            continue
        ids[ids == pad] = (pad + 1) % config.vocab_size
        yield {"input_ids": ids.clone(), "attention_mask": mask.clone()}
        if padded:
            ids[0, -2:], mask[0, -2:] = pad, 0
            yield {"input_ids": ids, "attention_mask": mask}
