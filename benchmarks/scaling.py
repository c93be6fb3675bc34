"""Measures cost and memory per row of our own code: a long file through a stub model.

python -m benchmarks.scaling write FILE ROWS
python -m benchmarks.scaling run FILE ROWS
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.flat_memory import measure, write_input

if __name__ == "__main__":
    _, what, file, count = sys.argv
    if what == "write":
        write_input(Path(file), int(count))
    else:
        sys.stdout.write(json.dumps(asdict(measure(Path(file), int(count)))) + "\n")
