"""What stands on a page, for outputs of a stub of the model."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from scorer.inference.bundle import open_bundle
from tests.report.helpers import page_of
from tests.verify.helpers import compressed, edit_report, score

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">'
TEXTS = ["so good+", "bad-", None, "meh", "fine+", "", "great+"]


def tweets(path: Path, **columns: Sequence[object]) -> Path:
    """Write the seven texts, five of them not blank, with ids and other columns."""
    rows = len(TEXTS)
    frame = pl.DataFrame({"id": [f"t{i}" for i in range(rows)], "text": TEXTS, **columns})
    write: dict[str, Callable[[Path], object]] = {
        "parquet": frame.write_parquet,
        "arrow": frame.write_ipc,
        "csv": frame.write_csv,
        "tsv": lambda path: frame.write_csv(path, separator="\t"),
        "ndjson": frame.write_ndjson,
    }
    kind = path.name.split(".")[1]
    plain = path.with_name(f"plain.{kind}")
    write[kind](plain)
    return compressed(path, plain.read_bytes())


@pytest.mark.parametrize(
    "name",
    [
        *("t.csv", "t.tsv", "t.ndjson", "t.parquet", "t.arrow"),
        *("t.csv.gz", "t.csv.zst", "t.tsv.gz", "t.ndjson.gz", "t.ndjson.zst"),
    ],
)
def test_every_format_makes_the_same_page(tmp_path: Path, name: str) -> None:
    """The counts, and the examples with their ids and rows."""
    page = page_of(score(tweets(tmp_path / name)), id_column="id")
    assert page.made.rows == 7
    assert page.row("read")[1] == page.row("= rows")[1] == "7"
    assert (page.row("– blank")[1], page.row("= scored")[1]) == ("2", "5")
    assert page.row("positive")[1:] == ["3", "60.0%", "0.800"]
    assert page.row("negative")[1:] == page.row("neutral")[1:] == ["1", "20.0%", "0.800"]
    assert ["0.800", "so good+ id t0", "1"] in page.rows
    assert ["0.800", "bad- id t1", "2"] in page.rows


def test_a_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    """No script, no link, no picture by address; and it forbids all of them."""
    page = page_of(score(tweets(tmp_path / "t.csv")))
    elements = {tag for tag, _ in page.tags}
    assert not elements & {"script", "link", "img", "iframe", "object", "embed", "a", "use", "base"}
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page.source
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_page_is_the_same_each_time(tmp_path: Path) -> None:
    """The same outputs give the same bytes: no time of day stands on it."""
    output = score(tweets(tmp_path / "t.csv"))
    assert page_of(output).source == page_of(output, name="again.html").source


def test_hostile_texts_stay_text(tmp_path: Path) -> None:
    """Markup in texts, ids, labels, names of files and columns is shown, and is no element."""
    path = tmp_path / "<img src=x onerror=alert(1)>.csv"
    pl.DataFrame(
        {
            HOSTILE: [f"{HOSTILE}1", f"{HOSTILE}2"],
            "<b>day</b>": ["2026-01-01", "2026-01-02"],
            "<u>true</u>": ["negative", "positive"],
            "<i>text</i>": [f"{HOSTILE}+", f"</td></svg></style>{HOSTILE}-"],
        }
    ).write_csv(path)
    labels = (HOSTILE, "</svg><b>", "{{ 7 * 7 }}")
    output = score(path, text_column="<i>text</i>", label_names=labels)
    page = page_of(
        output,
        name="<page>.html",
        id_column=HOSTILE,
        date_column="<b>day</b>",
        true_label_column="<u>true</u>",
        compare=output,
    )
    elements = [tag for tag, _ in page.tags]
    assert not {"script", "img", "i", "u"} & set(elements)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert f"{HOSTILE}+" in page.words
    assert "</td></svg></style>" in page.words
    assert "<img src=x onerror=alert(1)>.scored.csv" in page.words
    assert all(word in page.words for word in ("<b>day</b>", "<u>true</u>", "{{ 7 * 7 }}"))
    assert elements.count("svg") == 2 * 6  # each chart is whole: nothing ended it early
    assert page.source.count("</svg>") == 2 * 6
    assert page.source.rstrip().endswith("</html>")


def test_texts_can_be_left_out(tmp_path: Path) -> None:
    """Not one of them is on the page, of changed rows neither."""
    path = tweets(tmp_path / "t.csv")
    before = score(path, output=tmp_path / "before.csv")
    path.write_text(path.read_text().replace("bad-", "bad+"))
    page = page_of(score(path), compare=before, id_column="id", show_text=False)
    assert "1 of 7 rows changed their label" in page.words
    assert not [text for text in TEXTS if text and text in page.source]
    assert "bad+" not in page.source
    assert "Texts are left out of this page" in page.words


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """A text of a megabyte does not fill the page."""
    path = tmp_path / "t.csv"
    path.write_text(f"text\n{'long ' * 100_000}+\n")
    page = page_of(score(path))
    assert len(page.source) < 200_000
    assert "long …" in page.words


def test_equal_texts_are_one_example(tmp_path: Path) -> None:
    """The first of them."""
    path = tmp_path / "t.csv"
    path.write_text("text\n" + "same+\n" * 20 + "other+\n")
    page = page_of(score(path))
    assert [row for row in page.rows if row[-1] in {"1", "2", "21"} and row[0] == "0.800"] == [
        ["0.800", "same+", "1"],
        ["0.800", "other+", "21"],
    ]


def test_rejects_are_listed_by_kind(tmp_path: Path) -> None:
    """Read is rows and rejects together."""
    path = tmp_path / "t.csv"
    path.write_text('id,text\n1,good+\n2\n3,a,b\n4,"x"y\n')
    page = page_of(score(path, max_rejects=3))
    assert [page.row(each)[1] for each in ("read", "– rejected", "= rows")] == ["4", "3", "1"]
    assert (page.row("field-count")[1], page.row("text-after-quote")[1]) == ("2", "1")


def test_dates_make_a_trend(tmp_path: Path) -> None:
    """Rows by day in UTC; those without a date are counted."""
    days = ["2026-11-01", "2026-11-01", "2026-11-02", "2026-11-02T23:30-01:00", "", None, "soon"]
    page = page_of(score(tweets(tmp_path / "t.csv", day=days)), date_column="day")
    assert page.row("2026-11-01")[1:] == ["1", "0", "1", "0"]
    assert page.row("2026-11-02")[1:] == ["0", "0", "0", "1"]
    assert page.row("2026-11-03")[1:] == ["0", "1", "0", "0"]
    assert "3 rows have no readable date" in page.words


def test_one_day_has_numbers_and_no_chart(tmp_path: Path) -> None:
    """A line through one point shows nothing."""
    page = page_of(score(tweets(tmp_path / "t.csv", day=["2026-11-01"] * 7)), date_column="day")
    assert page.row("2026-11-01")[1:] == ["1", "1", "3", "2"]
    assert "one day only" in page.words


def test_many_days_become_months(tmp_path: Path) -> None:
    """Years of days would be no chart."""
    days = ["2020-01-01", "2020-01-31", "2020-02-01", "2026-11-24", "2026-11-24", "", ""]
    page = page_of(score(tweets(tmp_path / "t.csv", day=days)), date_column="day")
    assert "By month" in page.headings()
    assert page.row("2020-01")[1:] == ["1", "0", "1", "0"]
    assert page.row("2026-11")[1:] == ["0", "1", "1", "0"]


def test_true_labels_say_how_right_the_labels_are(tmp_path: Path) -> None:
    """By the label's names in any case; a row with another word is left out."""
    true = ["positive", "Negative ", "neutral", "positive", "POSITIVE", "x", "who knows"]
    page = page_of(score(tweets(tmp_path / "t.csv", truth=true)), true_label_column="truth")
    assert "4 rows have a true label in the column truth" in page.words
    assert "75.0% of their labels are right" in page.words
    assert "is 5.0 percentage points (expected calibration error)" in page.words
    assert "1 scored rows have no true label" in page.words
    assert ["positive", "0", "1", "2", "66.7%"] in page.rows
    assert ["0.8 – 0.9", "4", "0.800", "75.0%"] in page.rows


def test_without_true_labels_the_page_says_so(tmp_path: Path) -> None:
    """How sure a model is says nothing about how right it is; nor is this stub's bundle there."""
    page = page_of(score(tweets(tmp_path / "t.csv")))
    assert "Nothing on this page says whether the labels of these rows are right" in page.words
    assert "How well this model's scores fit true labels is not known here" in page.words


def test_what_the_export_measured_is_shown(tmp_path: Path) -> None:
    """When the model of the report is still where the run found it."""
    output = score(tweets(tmp_path / "t.csv"))
    bundle = open_bundle()
    edit_report(output, lambda report: report["model"].update(digest=bundle.digest))
    metrics = bundle.metadata.metrics
    wanted = f"test set of {metrics['data']['rows']:,} texts: {metrics['accuracy']:.1%}"
    assert wanted in page_of(output).words


def test_several_outputs_share_a_page(tmp_path: Path) -> None:
    """Counts are added up, and each file has a row."""
    one, two = score(tweets(tmp_path / "a.csv")), score(tweets(tmp_path / "b.parquet"))
    page = page_of(one, two, id_column="id")
    assert page.made.rows == 14
    assert (page.row("read")[1], page.row("positive")[1]) == ("14", "6")
    assert page.row("a.scored.csv")[1:4] == page.row("b.scored.parquet")[1:4] == ["7", "2", "0"]
    assert ["0.800", "so good+ a.scored.csv id t0", "1"] in page.rows


def test_an_output_without_a_label_has_a_page(tmp_path: Path) -> None:
    """No rows at all, or blank ones only."""
    path = tmp_path / "t.csv"
    for rows, content in ((0, "text\n"), (2, 'text\n""\n""\n')):
        path.write_text(content)
        page = page_of(score(path), date_column="text", true_label_column="text")
        assert (page.made.rows, page.row("= scored")[1]) == (rows, "0")
        assert "No row has a label." in page.words


def test_warnings_of_the_run_are_on_the_page(tmp_path: Path) -> None:
    """Who reads the page has not read the log."""
    output = score(tweets(tmp_path / "t.csv"))
    edit_report(output, lambda report: report["warnings"].append("the model was <slow>"))
    assert "the model was <slow>" in page_of(output).words


def test_stages_are_in_the_order_of_the_report(tmp_path: Path) -> None:
    """Each stage has its seconds, and the total stands above them."""
    output = score(tweets(tmp_path / "t.csv"))
    seconds = {"load": 1.5, "read": 0.25, "score": 61.0, "total": 62.0}
    edit_report(output, lambda report: report.update(seconds=seconds))
    words = page_of(output).words
    assert "1 min 02 s in all" in words
    assert all(each in words for each in ("1.50 s", "0.25 s", "61.00 s"))


def test_many_labels_have_colours_and_names_of_their_own(tmp_path: Path) -> None:
    """Long names that begin alike stay apart in the charts."""
    labels = ("a very long label of one", "a very long label of two", "positive")
    page = page_of(score(tweets(tmp_path / "t.csv"), label_names=labels))
    assert "a very long lab…" in page.words
    assert "a very long lab… 2" in page.words
    assert page.row("a very long label of two")[1] == "1"


def test_the_reports_own_numbers_are_the_pages(tmp_path: Path) -> None:
    """Every counter of the run report that the page shows is the report's."""
    output = score(tweets(tmp_path / "t.csv"))
    counters = json.loads((output.parent / f".tweetscore/{output.name}.run.json").read_text())[
        "counters"
    ]
    page = page_of(output)
    names = {"read": "read", "= rows": "rows", "– blank": "blank", "= scored": "scored"}
    shown = {counter: page.row(first)[1] for first, counter in names.items()}
    assert shown == {name: str(counters[name]) for name in shown}
