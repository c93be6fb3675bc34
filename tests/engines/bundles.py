"""Bundles with an error in them."""

import hashlib
import json
import shutil
from pathlib import Path


def with_wrong_canary(bundle: Path, copy: Path) -> Path:
    """Copy a bundle, as one that PyTorch would have given other answers; its hashes are right."""
    shutil.copytree(bundle, copy)
    canary, about = copy / "canary.json", copy / "tweetscore.json"
    content = json.loads(canary.read_text("utf-8"))
    content["logits"] = [[-logit for logit in row] for row in content["logits"]]
    canary.write_text(json.dumps(content), "utf-8")
    metadata = json.loads(about.read_text("utf-8"))
    metadata["files"]["canary.json"] = hashlib.sha256(canary.read_bytes()).hexdigest()
    about.write_text(json.dumps(metadata), "utf-8")
    return copy
