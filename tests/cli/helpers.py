"""What a fresh interpreter loads."""

import json
import subprocess
import sys

HEAVY = {
    "datasets",
    "email",  # which reads the version out of the installed metadata
    "emoji",
    "export",
    "numpy",
    "onnxruntime",
    "optimum",
    "polars",
    "pyarrow",
    "tokenizers",
    "torch",
    "tqdm",
    "transformers",
}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after some code."""
    script = f"import json, sys\n{code}\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
