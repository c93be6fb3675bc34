"""Inputs from web servers, on a real one: http.server on loopback."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLCertVerificationError
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.request import OpenerDirector

import pytest

from scorer.errors import InputMissing, StorageError, UsageError
from scorer.remote import web
from tests.remote.conftest import run
from tests.reports import report_json

CSV = "id,text\n1,good+\n"
PASSWORD = "Basic " + "dXNlcjpwdw=="  # user:pw


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; /closed asks for a password, /short ends too soon, /odd has no time."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path.startswith("/closed") and self.headers["Authorization"] != PASSWORD:
            self.send_error(401)
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(CSV.encode())
        elif self.path.startswith("/broken"):
            self.send_error(503)
        elif self.path.startswith("/status/"):
            self.send_response(int(self.path[8:11]))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        else:
            super().do_GET()

    def send_header(self, keyword: str, value: str) -> None:
        """Send a time of change, or what some servers say instead."""
        odd = keyword == "Last-Modified" and self.path.startswith("/odd")
        super().send_header(keyword, "0" if odd else value)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "site"
    (folder / "closed").mkdir(parents=True)
    for name in ("a.csv", "closed/a.csv", "with space.csv", "a\u00f1o.csv", "odd.csv"):
        (folder / name).write_text(CSV)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_of_a_web_server_is_scored_once(stub: Any, site: str, tmp_path: Path) -> None:
    """The second time it is up to date; changed, it is scored again."""
    output = tmp_path / "a.scored.csv"
    source = f"http://{site}/a.csv?X-Signature=secret"
    (outcome,) = run(stub, source, output=output)
    assert outcome.error is None
    assert output.read_text() == "id,text,label,score\n1,good+,positive,0.8\n"
    assert run(stub, source, output=output)[0].up_to_date
    assert run(stub, source.replace("secret", "tomorrows"), output=output)[0].up_to_date
    (tmp_path / "site/a.csv").write_text(CSV + "2,bad-\n")
    assert not run(stub, source, output=output)[0].up_to_date
    assert "bad-,negative" in output.read_text()


def test_a_file_that_grew_keeps_the_answers_of_an_output_here(
    stub: Any, site: str, tmp_path: Path
) -> None:
    """With --id-column, as for a file; the report says what was asked for."""
    output = tmp_path / "a.scored.csv"
    run(stub, f"http://{site}/a.csv", output=output)
    (tmp_path / "site/a.csv").write_text(CSV + "2,bad-\n")
    (outcome,) = run(stub, f"http://{site}/a.csv", output=output, id_column="id")
    assert report_json(outcome)["taken_over"] == {"rows": 1, "why_none": None}
    assert report_json(outcome)["options"]["incremental"]
    lines = ["id,text,label,score", "1,good+,positive,0.8", "2,bad-,negative,0.8"]
    assert output.read_text().splitlines() == lines


def test_secrets_are_in_no_line_and_no_report(stub: Any, site: str, tmp_path: Path) -> None:
    """Neither a signature nor a password, whether the run succeeds or fails."""
    output = tmp_path / "out.csv"
    source = f"http://user:pw@{site}/closed/a.csv?token=SECRET"
    (outcome,) = run(stub, source, output=output)
    assert outcome.error is None
    assert report_json(outcome)["input"]["path"] == f"http://***@{site}/closed/a.csv?***"
    (outcome,) = run(stub, source, output=tmp_path / "other.csv", text_column="tweet")
    assert f"http://***@{site}/closed/a.csv?*** has no column 'tweet'" in str(outcome.error)
    with pytest.raises(InputMissing) as caught:
        run(stub, source.replace("user:pw", "user:PASSWORD"), output=output)
    assert str(caught.value) == (
        f"http://***@{site}/closed/a.csv?*** cannot be read: 401 Unauthorized; check the address"
    )
    written = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert len(written) >= 2
    assert not [text for text in written if "SECRET" in text or "pw@" in text]


def test_a_name_is_what_the_address_means(stub: Any, site: str, tmp_path: Path) -> None:
    """Percent signs are undone, for the extension and for the output's name."""
    (outcome,) = run(stub, f"http://{site}/with%20space.csv", output=tmp_path)
    assert outcome.output == tmp_path / "with space.scored.csv"
    assert outcome.output.exists()


@pytest.mark.parametrize(
    "path", ["with space.csv", "a\u00f1o.csv", "a.csv?sig=a b\u00f1", "odd.csv"]
)
def test_an_address_may_be_written_as_people_do(
    stub: Any, site: str, tmp_path: Path, path: str
) -> None:
    """With spaces and letters; and a time of change that is none does not matter."""
    (outcome,) = run(stub, f"http://{site}/{path}", output=tmp_path / "x.csv")
    assert outcome.error is None
    assert (tmp_path / "x.csv").read_text().endswith("1,good+,positive,0.8\n")


@pytest.mark.parametrize("host", ["[::1", "a..b", "127.0.0.1:x"])
def test_no_address_is_an_error_in_the_call(stub: Any, tmp_path: Path, host: str) -> None:
    """Without what is secret in it."""
    with pytest.raises(UsageError) as caught:
        run(stub, f"http://{host}/a.csv?sig=SECRET", output=tmp_path / "x.csv")
    assert str(caught.value) == (
        f"http://{host}/a.csv?*** is no address of a file; check its host and port"
    )


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("none.csv", InputMissing, "/none.csv does not exist; check the name"),
        ("broken.csv", StorageError, "/broken.csv failed: 503 Service Unavailable; run again"),
        ("closed/", UsageError, "name each file: a web server lists none"),
    ],
)
def test_what_is_not_there_is_one_line(
    stub: Any, site: str, tmp_path: Path, path: str, kind: type[Exception], words: str
) -> None:
    """With the address, and before the model is loaded."""
    with pytest.raises(kind) as caught:
        run(stub, f"http://{site}/{path}", output=tmp_path / "x.csv")
    assert words in str(caught.value)
    assert stub.loads == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [(code, InputMissing) for code in (204, 400, 403, 404, 405, 409, 410, 411, 413, 416, 451, 501)]
    + [(code, StorageError) for code in (408, 429, 500, 502, 503, 504)],
)
def test_a_status_is_of_its_kind(
    stub: Any, site: str, tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    """Only a failure that may pass is an error of the network."""
    with pytest.raises(kind) as caught:
        run(stub, f"http://{site}/status/{status}.csv", output=tmp_path / "x.csv")
    assert ("run again when the network is well" in str(caught.value)) is (kind is StorageError)


def test_a_redirection_is_followed(stub: Any, site: str, tmp_path: Path) -> None:
    """To another address of the web."""
    address = f"http://{site}/to/http://{site}/a.csv"
    (outcome,) = run(stub, address, output=tmp_path / "x.csv")
    assert outcome.error is None
    assert (tmp_path / "x.csv").read_text().endswith("1,good+,positive,0.8\n")


@pytest.mark.parametrize("target", ["/to/", "ftp://127.0.0.1/a.csv", "file:///etc/passwd.csv"])
def test_a_redirection_to_nowhere_is_not(stub: Any, site: str, tmp_path: Path, target: str) -> None:
    """In a circle, or to what is not the web: the address is wrong, not the network."""
    target = f"{target}to/x.csv" if target == "/to/" else target
    with pytest.raises(InputMissing) as caught:
        run(stub, f"http://{site}/to/{target}", output=tmp_path / "x.csv")
    assert str(caught.value).endswith(" cannot be read: 302 it leads nowhere; check the address")


def test_a_server_that_only_trickles_ends_too(
    stub: Any, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little comes each time, a block has its time."""
    monkeypatch.setattr(web, "_SLOWEST", -1)
    (outcome,) = run(stub, f"http://{site}/a.csv", output=tmp_path / "x.csv")
    assert isinstance(outcome.error, StorageError)
    assert "failed: the answer comes too slowly; run again" in str(outcome.error)


def test_a_certificate_that_is_not_trusted_is_not_the_networks_fault(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will not be trusted tomorrow either."""

    def distrust(*_: Any, **__: Any) -> Any:
        error = SSLCertVerificationError("certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise URLError(error)

    monkeypatch.setattr(OpenerDirector, "open", distrust)
    with pytest.raises(InputMissing) as caught:
        run(stub, "https://127.0.0.1/a.csv", output=tmp_path / "x.csv")
    assert str(caught.value) == (
        "https://127.0.0.1/a.csv cannot be read: the server's certificate is not trusted: "
        "self-signed certificate; "
        "check the address, or name a file of trusted certificates in SSL_CERT_FILE"
    )


def test_an_answer_that_is_cut_off_is_no_input(stub: Any, site: str, tmp_path: Path) -> None:
    """What came of it is not scored, and the run can be repeated."""
    (outcome,) = run(stub, f"http://{site}/short.csv", output=tmp_path / "x.csv")
    assert isinstance(outcome.error, StorageError)
    assert "failed: the answer was cut off after 16 of 1,000 bytes; run again" in str(outcome.error)
    assert not (tmp_path / "x.csv").exists()
    failed = json.loads((tmp_path / ".tweetscore/x.csv.run.failed.json").read_text())
    assert failed["error"]["message"] == str(outcome.error)


def test_a_server_that_is_gone_is_an_io_error(stub: Any, tmp_path: Path) -> None:
    """With the address that could not be reached."""
    with pytest.raises(StorageError) as caught:
        run(stub, "http://127.0.0.1:9/a.csv", output=tmp_path / "x.csv")
    assert str(caught.value) == (
        "reading http://127.0.0.1:9/a.csv failed: connection refused; "
        "run again when the network is well"
    )


def test_a_file_that_changes_while_it_is_read_is_noticed(
    stub: Any, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked before and after."""
    real = web._block

    def change(*arguments: Any) -> bytes:
        (tmp_path / "site/a.csv").write_text(CSV + "2,bad-\n")
        return real(*arguments)

    monkeypatch.setattr(web, "_block", change)
    (outcome,) = run(stub, f"http://{site}/a.csv", output=tmp_path / "x.csv")
    assert str(outcome.error).startswith(f"http://{site}/a.csv changed while it was fetched; ")
