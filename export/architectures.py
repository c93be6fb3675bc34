"""What is known of single architectures, and tested: rewrites that make a model faster.

A model type without an entry, or an entry without a rewrite, is exported as transformers computes
it, and the gate is the same. A rewrite is here only with a test that it changes no answer.
"""

from dataclasses import dataclass

from export.graph.pruning import Patch, prune_distilbert, prune_encoder, prune_gpt2
from export.int8.gpt2 import split_gpt2
from export.int8.streams import StreamSplit, split_bert, split_distilbert


@dataclass(frozen=True, slots=True)
class Architecture:
    """The rewrites of one model type."""

    # transformers' name of an attention that gives a faster graph than its own choice, which is
    # what a pipeline computes with: Gemma 2 answers otherwise with another one. OpenVINO has no
    # node for scaled dot-product attention, and gains from it only where GPT-2's mask is causal.
    attention: str | None = None
    prune: Patch | None = None
    mask_can_go: bool = False  # batches that are served have no padding
    streams: StreamSplit | None = None  # for int8

    @property
    def left_out(self) -> str:
        """Return the rewrites that are not known, as a clause; empty where all are."""
        known = {"a pruned last layer": self.prune, "an int8 graph": self.streams}
        return " and ".join(name for name, rewrite in known.items() if rewrite is None)


_BERT = Architecture("eager", prune_encoder, mask_can_go=True, streams=split_bert)
_KNOWN = {
    "bert": _BERT,
    "camembert": _BERT,
    "data2vec-text": _BERT,
    "distilbert": Architecture("eager", prune_distilbert, streams=split_distilbert),
    "electra": _BERT,
    "gpt2": Architecture("sdpa", prune_gpt2, streams=split_gpt2),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}
UNKNOWN = Architecture()


def architecture_of(model_type: str) -> Architecture:
    """Return what is known of a model type: for most of them nothing."""
    return _KNOWN.get(model_type, UNKNOWN)
