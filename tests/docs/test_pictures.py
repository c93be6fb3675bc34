"""The picture of the README is what the page of the samples looks like today.

`python -m tests.docs.test_pictures` takes it anew (`make picture`).
"""

import io
import shutil
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scorer.options import RunOptions
from scorer.report import ReportOptions, make_page
from scorer.run import pipeline
from tests.chromium import open_page, started

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "report.png"
WIDTH, HEIGHT = 1000, 1000  # what is above the examples


def taken(folder: Path) -> bytes:
    """Return the top of the page of samples/tweets.csv, as a PNG."""
    path = Path(shutil.copy(ROOT / "samples" / "tweets.csv", folder))
    for outcome in pipeline.run(RunOptions.of((path,))):
        assert outcome.error is None
        page = folder / "page.html"
        make_page(ReportOptions((outcome.output,), page))
    with started(folder / "profile") as browser:
        open_page(browser, page.as_uri(), WIDTH)
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
        how = {"clip": clip, "captureBeyondViewport": True}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", how)
    return b64decode(shot["data"])


def pixels(png: bytes) -> NDArray[np.int16]:
    """Return grey values, shape [height, width]."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"), np.int16)


def share_of_changes(first: bytes, second: bytes) -> float:
    """Return the share of the pixels that anybody would see to differ."""
    return float((np.abs(pixels(first) - pixels(second)) > 48).mean())


@pytest.mark.ci
def test_the_picture_is_that_of_the_page(tmp_path: Path) -> None:
    """But for the date, and for the few rows that another precision labels otherwise."""
    shown = PICTURE.read_bytes()
    assert pixels(shown).shape == (HEIGHT, WIDTH)
    now = taken(tmp_path)
    assert share_of_changes(shown, now) < 0.01
    turned = io.BytesIO()  # the comparison sees what is another picture
    Image.open(io.BytesIO(now)).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(turned, "PNG")
    assert share_of_changes(shown, turned.getvalue()) > 0.05


def test_the_picture_is_small() -> None:
    """Who clones or reads the page waits for it."""
    assert PICTURE.stat().st_size < 200_000


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        image = Image.open(io.BytesIO(taken(Path(folder))))
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(PICTURE, optimize=True)
