"""What is S3's alone: AWS's chain of credentials, and listings by AWS's own client.

That client returns a name as it is. Obstore's listing fails as a whole where one name among a
thousand has an empty part, a dot or a control character, and it drops a slash at the end.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from boto3 import Session
from botocore import UNSIGNED
from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError
from obstore.auth.boto3 import Boto3CredentialProvider

from scorer.errors import InputMissing, InvalidConfig
from scorer.prefetch import interruptible
from scorer.remote.faults import CERTIFICATE, NO_STORE, fault
from scorer.remote.urls import Object, Url

_READ_TIMEOUT_S = 60
_ATTEMPTS = 4  # between which the client waits up to 7 seconds in all
# What AWS's client raises without an answer: the reason, and the arguments of `fault`.
_SIGNS: tuple[tuple[type[Exception], str, dict[str, Any]], ...] = (
    (aws.SSLError, "the server's certificate is not trusted", {"code": CERTIFICATE}),
    (aws.ConnectTimeoutError, "no answer in time", {}),
    (aws.ReadTimeoutError, "no answer in time", {}),
    (aws.IncompleteReadError, "the answer was cut off", {}),
    (aws.ResponseStreamingError, "the answer was cut off", {}),
    (aws.ConnectionError, "no connection", {}),
    (aws.HTTPClientError, "no connection", {}),
    (aws.ParamValidationError, "no bucket has such a name", {"code": "InvalidBucketName"}),
    (aws.InvalidRegionError, "no region has such a name", {"code": "PermanentRedirect"}),
    # Sent to another region by a server that does not say to which, that client asks for ever.
    (RecursionError, "the bucket is in another region", {"status": 301}),
    (ResponseParserError, "what answers is no store", {"code": NO_STORE}),
    (ValueError, "what answers is no store", {"code": NO_STORE}),
)


class Aws:
    """How one bucket is reached."""

    def __init__(self, bucket: Url) -> None:
        self._bucket = bucket
        self._endpoint = _endpoint()
        try:
            self._session = session = Session()
            # AWS's own chain: environment, profiles, roles, the machine's.
            provider = None if _is_public() else Boto3CredentialProvider(session)
            region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
            self._client = partial(
                session.client, "s3", region_name=region, endpoint_url=self._endpoint,
                config=self._config(),
            )  # fmt: skip
        except (aws.BotoCoreError, ValueError) as error:
            raise InputMissing(
                f"there are no AWS credentials for {bucket}{_profile(error)}",
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_SKIP_SIGNATURE=true for a public bucket",
            ) from error
        options = {"credential_provider": provider, "region": region, "endpoint": self._endpoint}
        self.options = {name: value for name, value in options.items() if value}

    @property
    def is_plain(self) -> bool:
        """Whether the environment asks for an address without TLS."""
        return (self._endpoint or "").startswith("http://")

    def lake_options(self) -> dict[str, str]:
        """Return the same for `deltalake`: it has no chain, so it gets what the chain leads to."""
        found = {"AWS_REGION": str(self.options["region"])}
        if self._endpoint:
            found |= {"AWS_ENDPOINT_URL": self._endpoint, "AWS_ALLOW_HTTP": str(self.is_plain)}
        with _asking(self._bucket):
            credentials = None if _is_public() else self._session.get_credentials()
            if credentials is None:
                return found | {"AWS_SKIP_SIGNATURE": "true"}
            key, secret, token = credentials.get_frozen_credentials()[:3]
        found |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        return found | ({"AWS_SESSION_TOKEN": token} if token else {})

    def _config(self) -> Config:
        virtual = os.environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in {"1", "true"}
        return Config(
            connect_timeout=10,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            s3={"addressing_style": "virtual" if virtual else "path"},
            signature_version=UNSIGNED if _is_public() else None,
            ignore_configured_endpoint_urls=True,  # obstore knows of none but the environment's
        )

    def list(self, url: Url) -> Iterator[Object]:
        """Yield all objects below a directory, a page of a thousand at a time."""
        with _asking(url):
            client = interruptible(self._client)
            pages = iter(
                client.get_paginator("list_objects_v2").paginate(Bucket=url.host, Prefix=url.key)
            )
            while page := interruptible(lambda: next(pages, None)):
                for each in page.get("Contents", ()):
                    yield _object(url.with_key(each["Key"]), each)


def _object(url: Url, entry: Any) -> Object:
    modified = int(entry["LastModified"].timestamp() * 1e6) * 1000
    return Object(url, entry["Size"], entry.get("ETag", ""), modified)


@contextmanager
def _asking(url: Url) -> Iterator[None]:
    """Turn what AWS's client raises into an error of ours."""
    try:
        yield
    except aws.ClientError as error:
        answer: Any = error.response
        code, status = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
        raise fault("reading", url, code, status=status, code=code) from error
    except (aws.BotoCoreError, RecursionError, ValueError) as error:
        for kind, why, facts in _SIGNS:
            if isinstance(error, kind):
                raise fault("reading", url, why, **facts) from error
        # A session that ended, a role that cannot be had: the client's own words lead on.
        raise fault("reading", url, str(error).rstrip("."), status=401) from error


def _is_public() -> bool:
    return os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true"}


def _endpoint() -> str | None:
    """Return the address of a server that is not AWS's, if the environment names one."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        if address := os.environ.get(name):
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise InvalidConfig(
                    f"{name} names no server", f"write {name}=https://HOST, or unset it"
                )
            return address
    return None


def _profile(error: Exception) -> str:
    """Return which profile it is that does not exist, where that is the reason."""
    name = os.environ.get("AWS_PROFILE")
    return f", nor a profile {name}" if name and "profile" in str(error) else ""
