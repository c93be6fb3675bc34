"""URLs are taken apart and shown without secrets; what is found by listing is safe to mirror."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import UsageError
from scorer.installation import install
from scorer.remote.search import find
from scorer.remote.urls import Object, Url, parse_url, why_unusable
from scorer.store.inputs import find_inputs

PIP = f"try: {install('remote')}"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://bucket/a b//c?.csv", "s3://bucket/a b//c?.csv"),
        ("S3A://bucket/x.csv", "s3://bucket/x.csv"),
        ("gcs://bucket", "gs://bucket/"),
        ("abfss://box@account.example/x.csv", "abfss://box@account.example/x.csv"),
        ("https://host/x.csv?sig=1#part", "https://host/x.csv?***"),
        ("https://token@host/x.csv", "https://***@host/x.csv"),
        ("https://user:p@ss@host:8/x.csv", "https://***@host:8/x.csv"),
        ("hf://datasets/me/set@v1/a/x.csv", "hf://datasets/me/set@v1/a/x.csv"),
    ],
)
def test_a_url_is_shown_without_secrets(text: str, shown: str) -> None:
    """And otherwise as it was written."""
    assert str(parse_url(text)) == shown


@pytest.mark.parametrize("text", ["a.csv", "/a/b.csv", "-", "s3:/x", "dir/s3://x", "C:\\x"])
def test_a_path_is_no_url(text: str) -> None:
    """Only what begins with a scheme and two slashes is one."""
    assert parse_url(text) is None


@pytest.mark.parametrize(
    "text", ["ftp://x/y.csv", "s3:///y.csv", "hf://me/y.csv", "hf://datasets/me"]
)
def test_a_url_that_cannot_be_opened_is_a_usage_error(text: str) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(UsageError):
        parse_url(text)


def test_the_repository_is_not_a_part_of_the_path() -> None:
    """User, name and revision lead to one place."""
    url = parse_url("hf://datasets/me/set@v1/a/x.csv")
    assert url == Url("hf", "datasets/me/set@v1", "a/x.csv")


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a.csv", "*.csv", True),
        ("b/a.csv", "*.csv", False),
        ("b/a.csv", "**/*.csv", True),
        ("a.csv", "**/*.csv", True),
        ("b/c/d/a.csv", "b/**/a.csv", True),
        ("b/c/a.csv", "b*", True),
        ("b/.c/a.csv", "b*", False),
        ("b/.c/a.csv", "b/.*", True),
        ("b/.c/.a.csv", "b/.*", False),
        ("_tmp/a.csv", "**/*", False),
        ("_day=1/a.csv", "**/*", True),
        ("b/c.csv", "b/c.csv/*", False),
        ("b/a.scored.csv", "b/*", False),
        ("b/a.tsv", "b/?", False),
        ("b/c/a.tsv", "b/?", False),
        ("b/a.tsv", "b/a.tsv*", False),
        ("b/a.tsv", "b/a.ts[v]", True),
    ],
)
def test_a_pattern_means_the_same_in_a_bucket_and_in_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, pattern: str, expected: bool
) -> None:
    """A directory that it matches stands for all below it; hidden ones are asked for by name.

    The format is asked for: one that a name says is passed over, unless the pattern names it.
    """
    for name in (path, "other/x.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    local = find_inputs([Path(pattern), Path("other")], "csv")
    assert (Path(path) in local.files) is expected
    bucket = Url("s3", "lake", "")

    class Listing:
        def of(self, _: Url) -> Any:
            return self

        def list(self, base: Url) -> list[Object]:
            keys = [key for key in (path, "other/x.csv") if key.startswith(base.key)]
            return [Object(bucket.with_key(key), 1, "tag", None) for key in keys]

    urls = (bucket.with_key(pattern), bucket.with_key("other/**"))
    listed = find(urls, Listing(), "csv")  # type: ignore[arg-type]
    assert (bucket.with_key(path) in listed.files) is expected


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("s3://b/../x.csv", "a part that is . or .."),
        ("s3://b/a/../../x.csv", "a part that is . or .."),
        ("s3://b/./x.csv", "a part that is . or .."),
        ("s3://b/a//x.csv", "an empty part"),
        ("s3://b//x.csv", "an empty part"),
        ("s3://b/x.csv/", "a slash at its end"),
        ("gs://b/tab\tx.csv", "a control character"),
        ("az://b/line\nx/y.csv", "a control character"),
        ("s3://b/\x1b[31m.csv", "a control character"),
        ("s3://b/\x7f.csv", "a control character"),
        ("s3://b/\x9b31m.csv", "a control character"),
        ("s3://b/\udcff.csv", "bytes that are not UTF-8"),
        (f"s3://b/{'n' * 245}.csv", "a part that is too long for a file"),
        ("s3://b/" + "\u00f1" * 123 + ".csv", "a part that is too long for a file"),
        (f"s3://b/{'d' * 256}/x.csv", "a part that is too long for a file"),
        ("hf://datasets/me/set/a/../x.csv", "a part that is . or .."),
        ("https://h/%00.csv", "a control character"),
        ("https://h/a%0Ab.csv", "a control character"),
        ("https://h/x/../y.csv", "a part that is . or .."),
        (f"https://h/{'%41' * 245}.csv", "a part that is too long for a file"),
        (f"s3://b/{'n' * 227}.csv", ""),
        (f"s3://b/{'d' * 255}/x.csv", ""),
        (f"s3://b/{'n' * 244}.csv", ""),
        ("s3://b/back\\slash %2F#?*~.csv", ""),
        ("s3://b/...", ""),
        ("s3://b/\u00f1\u200d.csv", ""),
        ("https://h//a//x.csv", ""),
        (f"https://h/{'%41' * 200}.csv", ""),
    ],
)
def test_a_name_that_no_client_or_file_can_have_is_unusable(address: str, why: str) -> None:
    """Whoever fills the bucket does not choose where we write; it says what is wrong."""
    url = parse_url(address)
    assert url is not None
    assert why_unusable(url) == why


def test_local_files_load_nothing_of_it() -> None:
    """Neither a client nor the package's own modules, but for the one that knows a URL."""
    program = (
        "import atexit, sys; sys.argv = ['tweetscore', 'run', 'none.csv']\n"
        "from scorer.cli import main\n"
        "@atexit.register\n"
        "def tell():\n"
        "    print(sorted(m for m in sys.modules if m.startswith('scorer.remote')))\n"
        "    print({'obstore', 'boto3', 'huggingface_hub', 'urllib.request'} & set(sys.modules))\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 66
    assert done.stdout.splitlines() == ["['scorer.remote', 'scorer.remote.urls']", "set()"]


def test_a_url_is_not_looked_at_beforehand(tmp_path: Path) -> None:
    """Of what must be fetched first a dry run can say nothing, and it says so."""
    program = "from scorer.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "s3://b/x.csv", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "tweetscore: a URL cannot be looked at without being fetched; name files\n",
    )


def test_a_missing_extra_is_one_line_with_what_to_install(tmp_path: Path) -> None:
    """Exit code 78."""
    program = (
        "import sys; sys.modules['obstore'] = None; sys.argv = ['tweetscore', 'run', 's3://b/x.csv']\n"
        "from scorer.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        78,
        f"tweetscore: s3:// needs the library obstore, which is not installed; {PIP}\n",
    )
