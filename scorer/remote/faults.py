"""What a server's refusal means: one table for all places, and the errors that they share.

A permanent fault is 66 for a reader and 73 for a writer; one that may pass is 74.
Only the second kind is an error of the network.
"""

from typing import Literal

from scorer.errors import DataError, InputMissing, OutputRefused, StorageError, TweetscoreError
from scorer.remote.urls import HUB, WEB, Url

Doing = Literal["reading", "writing"]

CERTIFICATE = "Certificate"  # codes of ours, for what is no answer of a server
NO_STORE = "NoStore"

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_MAY_PASS = {408, 425, 429}  # and what begins with a 5, but for the next
_STAYS = {501, 505}
_MAY_PASS_BY_CODE = {"OperationAborted", "RequestTimeout", "Throttling", "ThrottlingException"}

_CHECK = "check the name, the credentials and what they permit"
_REGION = "set AWS_REGION to the region of the bucket, and AWS_ENDPOINT_URL if it is not AWS's"
_RENEW = "renew the credentials and run again"
_ARCHIVED = "restore it from the archive first"
_SMALLER = "split the input into smaller files"
_SHORTER = "choose a shorter name"
_SERVER = "check that the address is that of the right server"
_CODES = {
    _REGION: "AuthorizationHeaderMalformed IllegalLocationConstraintException PermanentRedirect",
    _ARCHIVED: "BlobArchived InvalidObjectState",
    _SMALLER: "EntityTooLarge RequestBodyTooLarge",
    _RENEW: "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    _SHORTER: "KeyTooLongError",
    "check the name of the bucket": "InvalidBucketName",
    "set the clock of this box and run again": "RequestTimeTooSkewed",
    "check the address, or name a file of trusted certificates in SSL_CERT_FILE": CERTIFICATE,
    _SERVER: NO_STORE,
}
_BY_CODE = {code: remedy for remedy, codes in _CODES.items() for code in codes.split()}
_WRONG_KEYS = {
    "AuthenticationFailed",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_KEYS = {
    "s3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login",
    HUB: "set HF_TOKEN, or run: hf auth login",
}
_AZURE = "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a token"
_BY_STATUS = {
    407: "check the user and password of the proxy",
    413: _SMALLER,
    414: _SHORTER,
    **dict.fromkeys((405, 411, 501, 505), _SERVER),
}


def fault(
    doing: Doing, url: Url, why: str, *, status: int | None = None, code: str = ""
) -> TweetscoreError:
    """Return the error for what went wrong with an object.

    Args:
        doing: What was done with it.
        url: The object.
        why: The server's reason in a few words, without secrets.
        status: That of HTTP; None where there was no answer, or none to this question.
        code: The store's own name of the reason, or one of those above.
    """
    reading = doing == "reading"
    stays: type[TweetscoreError] = InputMissing if reading else OutputRefused
    if code in _NO_BUCKET:
        return stays(f"there is no bucket {url.scheme}://{url.host}", "check the name")
    if _may_pass(status, code):
        return unreachable(doing, url, why)
    done = "read" if reading else "written"
    return stays(f"{url} cannot be {done}: {why}", _remedy(url, status, code))


def _may_pass(status: int | None, code: str) -> bool:
    if code in _MAY_PASS_BY_CODE or status in _MAY_PASS:
        return True
    if status is None:
        return not code
    return status >= 500 and status not in _STAYS


def _remedy(url: Url, status: int | None, code: str) -> str:
    if code in _WRONG_KEYS or (status == 401 and url.scheme not in WEB):
        return _KEYS.get(url.scheme, _AZURE)
    if known := _BY_CODE.get(code) or _BY_STATUS.get(status or 0):
        return known
    if url.scheme in WEB:
        return "check the address"
    if status is not None and 300 <= status < 400 and url.scheme == "s3":
        return _REGION
    return _CHECK


def unreachable(doing: Doing, url: Url, why: str) -> StorageError:
    """Return the error for a connection that failed."""
    return StorageError(f"{doing} {url} failed: {why}", "run again when the network is well")


def changed_meanwhile(url: Url) -> DataError:
    """Return the error for an object that was written to while it was fetched."""
    return DataError(f"{url} changed while it was fetched", "run again when nobody writes to it")


def unusable(url: Url, why: str) -> InputMissing:
    """Return the error for an input whose name neither a client nor a file system takes."""
    remedy = "write another address" if url.scheme in WEB else "copy it to another name"
    return InputMissing(f"{url} cannot be read, as its name has {why}", remedy)
