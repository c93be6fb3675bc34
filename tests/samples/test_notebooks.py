"""The sample notebooks run from top to bottom, and hold what their cells give.

`python -m tests.samples.test_notebooks` runs them where they are, to keep new outputs.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: The numbers that another box computes otherwise: last digits, and what was trained there.
NUMBERS = {"tweets": r"\d+\.\d+", "estudio": r"\d+(\.\d+)?"}
NOTEBOOKS = sorted((ROOT / "samples").glob("*.ipynb"))


def run(path: Path) -> Any:
    """Run all cells in the notebook's folder; a cell that fails raises."""
    import nbformat
    from nbclient import NotebookClient

    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=280,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {}  # when it was run
    return notebook


def stored(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def texts(notebook: Any, number: str) -> list[str]:
    """Return what each code cell prints or shows, as text with 0 in the place of some numbers."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            parts = [each.get("text") or each["data"]["text/plain"] for each in cell["outputs"]]
            # Neither an object's address nor a table's width is an answer.
            shown = re.sub(r" at 0x[0-9a-f]+|[─═]+", "", "".join("".join(part) for part in parts))
            found.append(re.sub(number, "0", shown))
    return found


@pytest.mark.ci
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path, tmp_path: Path) -> None:
    """In a folder that holds a copy of the samples, as the reader has it."""
    folder = Path(shutil.copytree(ROOT / "samples", tmp_path / "samples"))
    shutil.rmtree(folder / "notebook", ignore_errors=True)
    notebooks = (run(folder / path.name), stored(path))
    now, then = (texts(each, NUMBERS[path.stem]) for each in notebooks)
    assert len(now) == len(then) > 5
    for cell, (new, old) in enumerate(zip(now, then, strict=True)):
        assert new.split() == old.split(), f"code cell {cell} of {path.name}"
    if path.stem == "estudio":
        assert any("'100% de " in each for each in texts(notebooks[0], r"(?!)"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs(path: Path) -> None:
    """All cells were run, in their order and without an error, and no path of a box is shown."""
    code = [cell for cell in stored(path)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(cell["outputs"] for cell in code)
    assert re.search(r"/(home|root|tmp|Users)/", path.read_text("utf-8")) is None
    assert path.stat().st_size < 60_000


def test_what_was_trained_is_served_as_it_was_trained() -> None:
    """The parity that the Spanish notebook shows is that of every label."""
    shown = texts(stored(ROOT / "samples" / "estudio.ipynb"), r"(?!)")
    assert any(re.fullmatch(r"'100% de \d+ etiquetas son las de PyTorch'", each) for each in shown)


if __name__ == "__main__":
    import nbformat

    for each in NOTEBOOKS:
        nbformat.write(run(each), each)
