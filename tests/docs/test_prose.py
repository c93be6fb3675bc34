"""What holds for the text of every page: its first paragraph, its links, its commands."""

import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import cast

import click
import pytest

from scorer.cli import tweetscore
from tests.docs.test_pages import PAGES, ROOT, fences

DOCS = sorted((ROOT / "docs").glob("*.md"))
# [text](FILE), [text](FILE#heading), [text](#heading)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    """Return what GitHub calls the headings of a page in links."""
    lines = page.read_text("utf-8").splitlines()
    code = {
        n
        for language in ("console", "sh", "python", "toml")
        for f in fences(lines, language)
        for n in f
    }
    titles = [line for n, line in enumerate(lines) if line.startswith("#") and n not in code]
    return {
        re.sub(r"[^\w -]", "", title.lstrip("#").strip().lower()).replace(" ", "-")
        for title in titles
    }


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_the_first_paragraph_says_when_the_page_is_needed(page: Path) -> None:
    title, paragraph = page.read_text("utf-8").split("\n\n")[:2]
    assert title.startswith("# ")
    assert paragraph.startswith("Read this page when ")


def test_the_first_page_leads_to_every_other() -> None:
    """Each page is in one section of index.md."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    listed = re.findall(r"^- \[[^\]]+\]\(([\w-]+\.md)\): ", index, re.MULTILINE)
    assert sorted([*listed, "index.md"]) == sorted(page.name for page in DOCS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.finditer(page.read_text("utf-8")):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        if not target.exists() or (link["heading"] and link["heading"] not in headings(target)):
            broken.append(link[0])
    assert broken == []


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_a_page_has_no_private_metaphors(page: Path) -> None:
    """A reader knows the field's own terms: lock, worker pool, checkpoint, callback."""
    private = r"\b(?:hallways?|doors?|desks?|tellers?|crews?|riddles?|nouns?|half-way house)\b"
    assert re.findall(private, page.read_text("utf-8"), re.IGNORECASE) == []


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_a_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)`|\((tests/[\w/]+\.py)\)", page.read_text("utf-8"))
    assert [path for pair in named for path in pair if path and not (ROOT / path).exists()] == []


def calls(page: Path) -> list[list[str]]:
    """Return the words of each call of tweetscore in fences that no test runs."""
    lines = page.read_text("utf-8").splitlines()
    text = "\n".join("\n".join(lines[n] for n in fence) for fence in fences(lines, "sh"))
    found = re.findall(r"^(?:\w+=\S+ )?tweetscore (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    return [
        list(
            takewhile(
                lambda word: word not in {"|", ">", "&", "&&"}, shlex.split(line, comments=True)
            )
        )
        for line in found
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_call_that_no_test_runs_has_options_that_there_are(page: Path) -> None:
    """Commands in fences marked `sh` need the Internet, a cluster or time: they are parsed."""
    for call in filter(None, calls(page)):  # a bare one is for completion
        words, command = list(call), cast("click.Command", tweetscore)
        context = click.Context(tweetscore)
        while isinstance(command, click.Group) and words:
            child = command.get_command(context, words[0])
            assert child is not None, words
            command = child
            del words[0]
        try:
            command.make_context("tweetscore", words, parent=context)
        except click.exceptions.Exit:
            pass  # --help
        except click.BadParameter:
            pass  # a file that is not there
        except click.UsageError as error:
            pytest.fail(f"{words}: {error.format_message()}")
