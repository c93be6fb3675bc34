"""A permanent failure is no error of the network: it has the code and the remedy of its kind."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import obstore
import pytest
from botocore.exceptions import UnauthorizedSSOTokenError
from obstore import exceptions

from scorer.errors import (
    InputMissing,
    InvalidConfig,
    OutputRefused,
    StorageError,
    TweetscoreError,
)
from scorer.remote import objects, s3
from scorer.remote.faults import fault
from scorer.remote.urls import Url, parse_url
from tests.remote.conftest import Bucket, run
from tests.remote.s3_server import environment

ROOT = Path(__file__).parents[2]
KEY = Url("s3", "lake", "in/a.csv")
REGION = "set AWS_REGION to the region of the bucket, and AWS_ENDPOINT_URL if it is not AWS's"
CHECK = "check the name, the credentials and what they permit"
KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

# A status, a store's code, and what is to be done; nothing where it may pass.
ANSWERS = [
    (301, "PermanentRedirect", REGION),
    (400, "AuthorizationHeaderMalformed", REGION),
    (400, "ExpiredToken", "renew the credentials and run again"),
    (400, "KeyTooLongError", "choose a shorter name"),
    (400, "EntityTooLarge", "split the input into smaller files"),
    (400, "InvalidRequest", CHECK),
    (400, "RequestTimeout", ""),
    (401, "Unauthorized", KEYS),
    (403, "AccessDenied", CHECK),
    (403, "InvalidAccessKeyId", KEYS),
    (403, "SignatureDoesNotMatch", KEYS),
    (403, "RequestTimeTooSkewed", "set the clock of this box and run again"),
    (403, "InvalidObjectState", "restore it from the archive first"),
    (404, "NoSuchBucket", "check the name"),
    (405, "MethodNotAllowed", "check that the address is that of the right server"),
    (407, "", "check the user and password of the proxy"),
    (408, "", ""),
    (409, "OperationAborted", ""),
    (409, "BlobArchived", "restore it from the archive first"),
    (410, "", CHECK),
    (411, "MissingContentLength", "check that the address is that of the right server"),
    (413, "", "split the input into smaller files"),
    (414, "", "choose a shorter name"),
    (429, "SlowDown", ""),
    (500, "InternalError", ""),
    (501, "NotImplemented", "check that the address is that of the right server"),
    (502, "", ""),
    (503, "SlowDown", ""),
    (504, "", ""),
]


class Answering(BaseHTTPRequestHandler):
    """A server that has one answer to everything."""

    status: int
    content: bytes

    def do_GET(self) -> None:
        """Give it."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        content = b"" if self.command == "HEAD" else self.content
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET  # noqa: N815 - the base class's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Refusing:
    """The server's address, and how its answer is chosen."""

    address: str
    handler: type[Answering]

    def says(self, status: int, code: str) -> None:
        """Answer so from now on."""
        self.handler.status = status
        content = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""
        self.handler.content = content.encode()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    class Handler(Answering):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(objects, "_RETRIES", 0)
        monkeypatch.setattr(s3, "_ATTEMPTS", 1)
        yield Refusing(address, Handler)
        server.shutdown()
        thread.join()


def caught_by(call: Callable[[], Any]) -> TweetscoreError:
    with pytest.raises(TweetscoreError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(("status", "code", "remedy"), ANSWERS)
def test_a_refusal_has_the_code_and_the_remedy_of_its_kind(
    refusing: Refusing, status: int, code: str, remedy: str
) -> None:
    """Whether an object is read or written, or the bucket is listed."""
    refusing.says(status, code)
    store = objects.ObjectStore(Url("s3", "lake", ""))
    listed = caught_by(lambda: list(store.list(Url("s3", "lake", "in/"))))
    written = caught_by(lambda: store.write(b"{}", KEY))
    answers: list[tuple[TweetscoreError, type[TweetscoreError]]] = [
        (listed, InputMissing),
        (written, OutputRefused),
    ]
    if status != 404:  # there is no such object
        answers.append((caught_by(lambda: store.read(KEY)), InputMissing))
    for error, stays in answers:
        assert type(error) is (stays if remedy else StorageError)
        assert error.remedy == (remedy or "run again when the network is well")
        reasons = (code or str(status), "there is no bucket", "the bucket is in another region")
        assert any(words in str(error) for words in reasons)
        assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (301, InputMissing, REGION),
        (400, InputMissing, CHECK),
        (403, InputMissing, CHECK),
        (405, InputMissing, "check that the address is that of the right server"),
        (503, StorageError, "run again when the network is well"),
    ],
)
def test_a_look_at_an_object_has_no_words_and_still_its_kind(
    refusing: Refusing, status: int, kind: type[TweetscoreError], remedy: str
) -> None:
    """The answer to a HEAD is a number alone."""
    refusing.says(status, "")
    error = caught_by(lambda: objects.ObjectStore(Url("s3", "lake", "")).head(KEY))
    assert (type(error), error.remedy) == (kind, remedy)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "gs://b/x.csv",
            "set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login",
        ),
        (
            "az://b/x.csv",
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a token",
        ),
        ("hf://datasets/me/set/x.csv", "set HF_TOKEN, or run: hf auth login"),
        ("https://h/x.csv", "check the address"),
    ],
)
def test_credentials_are_those_of_the_place(text: str, remedy: str) -> None:
    """No remedy names another cloud's variables."""
    url = parse_url(text)
    assert url is not None
    assert fault("reading", url, "401 Unauthorized", status=401).remedy == remedy


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("Got invalid list response: syntax error", 66, "what answers is no store"),
        ("Received non-partial response when range requested", 66, "sends no part of an object"),
        ("... - HTTP error: builder error", 66, "the server's address is none of https"),
        (
            "... sending request\n\nDebug source:\nkind: Connect, InvalidCertificate(",
            66,
            "not trusted",
        ),
        ("... sending request\n\nDebug source:\nkind: Connect,", 74, "no connection; run again"),
        (
            "... sending request\n\nDebug source:\nkind: Timeout,",
            74,
            "no answer in time; run again",
        ),
        ("... body error\n\nDebug source:\nkind: Interrupted,", 74, "the answer was cut off; run"),
        ("... - http://10.0.0.1/lake does odd things", 74, "failed: the store does odd things;"),
    ],
)
def test_what_obstore_tells_in_words_has_its_kind(text: str, code: int, words: str) -> None:
    """Without an address, which may be signed."""
    error = objects._fault("reading", KEY, exceptions.GenericError(f"Generic S3 error: {text}"))
    assert error.exit_code == code
    assert words in str(error)
    assert "http://" not in str(error)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000", "AWS_ENDPOINT_URL names no server; write AWS_ENDP"),
        ("AWS_ENDPOINT_URL", "https://", "AWS_ENDPOINT_URL names no server; write AWS_ENDP"),
        ("AWS_ENDPOINT_URL_S3", "minio", "AWS_ENDPOINT_URL_S3 names no server; write AWS_ENDP"),
    ],
)
def test_an_endpoint_that_is_no_address_is_a_setting_to_mend(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """Exit code 78, before anything is asked."""
    monkeypatch.setenv(name, value)
    error = caught_by(lambda: objects.ObjectStore(Url("s3", "lake", "")))
    assert isinstance(error, InvalidConfig)
    assert str(error).startswith(words)


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not only that there are no credentials."""
    monkeypatch.setenv("AWS_PROFILE", "nightly")
    error = caught_by(lambda: objects.ObjectStore(Url("s3", "lake", "")))
    assert str(error).startswith(
        "there are no AWS credentials for s3://lake/, nor a profile nightly; set AWS_PROFILE, or "
    )


def test_a_bucket_that_cannot_be_is_an_input_that_is_missing(bucket: Bucket, stub: Any) -> None:
    """A name that AWS's client refuses, and one that no address can hold."""
    for name in ("A_B!", "bad bucket"):
        error = caught_by(lambda name=name: run(stub, f"s3://{name}/in/", output="s3://lake/"))  # type: ignore[misc]
        assert isinstance(error, InputMissing)
        assert "network" not in str(error)


def test_a_session_that_ended_leads_on(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials' own words, whichever client asks for them."""

    class Ended:
        def get_frozen_credentials(self) -> None:
            raise UnauthorizedSSOTokenError

    store = objects.ObjectStore(Url("s3", "lake", ""))
    monkeypatch.setattr(store._options["credential_provider"], "credentials", Ended())
    error = caught_by(lambda: store.read(KEY))
    assert isinstance(error, InputMissing)
    assert "To refresh this SSO session run aws sso login" in str(error)
    assert error.remedy == KEYS


@pytest.mark.parametrize("call", ["check", "write", "delete"])
def test_a_conflict_is_an_error_of_ours_whatever_is_written(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Not only an upload may meet another writer."""

    def conflict(*_: Any, **__: Any) -> Any:
        raise exceptions.AlreadyExistsError(
            "... status code: 409 Conflict: <Code>OperationAborted</Code>"
        )

    for name in ("list", "put", "delete"):
        monkeypatch.setattr(obstore, name, conflict)
    store = objects.ObjectStore(Url("s3", "lake", ""))
    calls: dict[str, Callable[[], Any]] = {
        "check": lambda: store.check(KEY),
        "write": lambda: store.write(b"", KEY),
        "delete": lambda: store.delete(KEY),
    }
    assert isinstance(caught_by(calls[call]), StorageError)


def test_the_command_ends_with_the_code_of_the_kind(refusing: Refusing, tmp_path: Path) -> None:
    """66 for what stays when an input is read, one line, no traceback."""
    refusing.says(403, "AccessDenied")
    program = "from scorer.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "s3://lake/in/", "-o", "s3://lake/out/"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        66,
        f"tweetscore: s3://lake/in/ cannot be read: AccessDenied; {CHECK}\n",
    )


@pytest.mark.parametrize(
    "reason",
    [
        "http://169.254.169.254/x in 8ms - error sending request\n\nDebug source:\nkind: Connect,",
        "http://metadata.google.internal/x in 8ms - Server returned status code: 404 Not Found: ",
    ],
)
def test_a_box_that_gives_no_credentials_is_not_the_networks_fault(reason: str) -> None:
    """The machine's are asked for last; most boxes have none."""
    text = f"Generic GCS error: Error performing token request: Error performing GET {reason}"
    error = objects._fault("reading", Url("gs", "b", "x.csv"), exceptions.GenericError(text))
    assert str(error) == (
        "gs://b/x.csv cannot be read: no credentials were found; "
        "set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login"
    )
    assert error.exit_code == 66
