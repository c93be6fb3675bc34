"""Which runs the version before made, with the words that `tweetscore` was called with."""

from dataclasses import dataclass
from pathlib import Path

FIXTURES = Path(__file__).with_name("fixtures")
MADE_IN = "/tmp/tweetscore-fixtures"  # noqa: S108 - the same path on every box, for the reports

BUNDLE = "--model ../bundle --device builtin --precision fp32"
METRICS = "nightly.prom"  # in `directory`
TIMES = "times.json"  # beside the directories: when each input and output was modified


@dataclass(frozen=True, slots=True)
class Case:
    """A directory in which the version before scored a file or two, to the end."""

    name: str  # of the directory
    words: str  # after `tweetscore run`, in that directory
    outputs: tuple[str, ...]
    model: str = BUNDLE

    @property
    def command(self) -> list[str]:
        """Return the words of the command."""
        return ["run", *self.words.split(), *self.model.split()]


OUTPUTS = (
    Case("csv", "tweets.csv", ("tweets.scored.csv",)),
    Case("ndjson", "in.ndjson -o out.ndjson", ("out.ndjson",)),
    Case("parquet", "in.parquet -o out.parquet", ("out.parquet",)),
    Case("arrow", "in.arrow -o out.arrow", ("out.arrow",)),
    Case("directory", "in -o out", ("out/mon.scored.csv", "out/tue.scored.ndjson")),
    Case("partitions", "lake -o out", ("out/day=1/a.scored.csv", "out/day=2/a.scored.csv")),
    Case("label-names", "in.csv -o out.csv --label-names es", ("out.csv",)),
    Case("scores-all", "in.csv -o out.csv --scores all", ("out.csv",)),
    Case("grown-ids", "in.csv -o out.csv --id-column id", ("out.csv",)),
    Case("rejects", "in.csv -o out.csv --max-rejects 2", ("out.csv",)),
    Case("gzip", "in.csv.gz -o out.csv.gz", ("out.csv.gz",)),
    Case("no-quotes", "in.tsv -o out.tsv --quote none", ("out.tsv",)),
    Case(
        "dialect",
        "in.csv -o out.csv --no-header --columns id,body --text-column body --delimiter ;"
        " --encoding latin-1 --escape backslash --label-column mood --score-column sure --limit 5",
        ("out.csv",),
    ),
    Case("failed-since", "in.csv -o out.csv", ("out.csv",)),
    Case("taken-up", "in.csv -o out.csv --chunk-rows 4", ("out.csv",)),
    Case("embedded", "in.csv -o out.csv", ("out.csv",), model="--device builtin"),
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A directory in which a run of the version before was killed.

    Args:
        kind: The format.
        moment: The step at which it was killed.
        options: Of the run, beside those that all have.
        last_night: Whether an output of last night is there, made of fewer rows.
    """

    kind: str
    moment: str
    options: str = ""
    last_night: bool = False

    @property
    def name(self) -> str:
        """Return the name of the directory."""
        words = [self.kind, *self.options.strip("-").split()[:1], self.moment]
        return "-".join([*words, *(["replacing"] if self.last_night else [])])

    @property
    def command(self) -> list[str]:
        """Return the words of the command: three windows of four rows."""
        rejects = "--max-rejects 2" if self.kind == "csv" else ""
        words = f"in.{self.kind} -o out.{self.kind} --chunk-rows {WINDOW} {rejects} {self.options}"
        return ["run", *words.split(), *BUNDLE.split()]

    @property
    def output(self) -> str:
        """Return the name of the output."""
        return f"out.{self.kind}"

    @property
    def state(self) -> str:
        """Return the name of the directory with what the killed run has stored."""
        return f".{self.output}.tweetscore"

    @property
    def windows(self) -> int:
        """Return how many windows are stored."""
        return 1 if self.moment == "first-window" else 3

    @property
    def complete(self) -> str:
        """Return the directory in which an undisturbed run of the version before wrote the same."""
        return "rejects" if self.kind == "csv" else self.kind


WINDOW = 4  # rows

#: Directories with a bucket and the work directory of the box, and where the run was killed.
OBJECTS = {"objects": "", "objects-first-window": "first-window"}
OBJECTS_COMMAND = [
    *f"run s3://lake/in/ -o s3://lake/out/ --chunk-rows {WINDOW} --max-rejects 1".split(),
    *BUNDLE.split(),
]
FORMATS = ("csv", "ndjson", "parquet", "arrow")

#: The step before or after which a run was killed: a rename to this name.
MOMENTS = {
    "first-window": ("before", "part-00000001.arrow"),
    "no-intent": ("before", "report.json"),  # the new output is written, under a temporary name
    "intent": ("before", "{output}"),
    "published": ("after", "{output}"),
}

UNFINISHED = (
    *(Unfinished("csv", moment) for moment in ("first-window", "no-intent", "published")),
    *(Unfinished(kind, moment) for kind in FORMATS[1:] for moment in ("first-window", "intent")),
    Unfinished("csv", "intent", last_night=True),
    Unfinished("csv", "first-window", "--id-column id", last_night=True),
)
