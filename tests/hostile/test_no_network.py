"""Nothing reaches for the network: with local files, every command works without any.

An audit hook refuses what Python asks of the network, everywhere. Where the machine lets an
ordinary user make a network namespace, the commands run in one that has no way out, and the kernel
counts what the libraries' native code tries to send. The tests' names say which ran.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# argv: where to report, code to run instead of the program (or nothing), the program's words.
PROGRAM = """
import atexit, json, socket, sys
from pathlib import Path

REFUSED = {f"socket.{name}" for name in (
    "bind", "connect", "getaddrinfo", "gethostbyaddr", "gethostbyname", "getnameinfo", "sendmsg",
    "sendto")}
refused = []

def guard(event, arguments):
    if event in REFUSED:
        refused.append(event)
        raise OSError(f"no {event} here")

def no_routes():
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    names, numbers = (line for line in lines if line[0] == "Ip:")
    return int(numbers[names.index("OutNoRoutes")])

report, code, *words = sys.argv[1:]
sys.argv[1:] = words
before = no_routes()

@atexit.register
def write_report():
    Path(report).write_text(json.dumps({
        "refused": refused,
        "unroutable": no_routes() - before,
        "interfaces": [name for _, name in socket.if_nameindex()],
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    }))

if code:
    exec(code)
else:
    sys.addaudithook(guard)
    from scorer.cli import main
    main()
"""
NAMESPACE = ("unshare", "--map-root-user", "--net", "--")
# What fetches, or reports home. tokenizers and polars have clients of their own in native code.
CLIENTS = {
    *("aiohttp", "boto3", "datasets", "fsspec", "httpx", "huggingface_hub", "opentelemetry"),
    *("optimum", "requests", "sentry_sdk", "torch", "transformers", "urllib3"),
}


def namespaces_are_allowed() -> bool:
    try:
        return (
            subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


SILENCING = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")

ISOLATIONS: dict[str, tuple[str, ...]] = (
    {"audit hook and network namespace": NAMESPACE}
    if namespaces_are_allowed()
    else {"audit hook": ()}
)


def home(tmp_path: Path) -> Path:
    """Return an empty home: where libraries that report home keep what they have not sent."""
    path = tmp_path / "home"
    path.mkdir(exist_ok=True)
    return path


def isolated(
    prefix: tuple[str, ...], tmp_path: Path, *words: str, code: str = ""
) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the program, or code, and return how it ended and what was seen of the network."""
    report = tmp_path / "network.json"
    command = [*prefix, sys.executable, "-c", PROGRAM, str(report), code, *words]
    # CI silences the telemetry of ONNX Runtime, and users' boxes do not have it.
    environment = {name: value for name, value in os.environ.items() if name not in SILENCING}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"HOME": str(home(tmp_path))},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done, json.loads(report.read_text())


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text("id,text\n1,I love this song https://example.com/a\n2,stuck again @you\n")
    return path


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("command", ["run tweets.csv", "text hello", "doctor"])
def test_a_command_needs_no_network(
    tmp_path: Path, tweets: Path, isolation: str, command: str
) -> None:
    """It succeeds, asks for nothing, loads nothing that could ask, and leaves nothing at home."""
    done, seen = isolated(ISOLATIONS[isolation], tmp_path, *command.split())
    assert done.returncode == 0, done.stderr
    assert seen["refused"] == []
    assert CLIENTS & set(seen["modules"]) == set()
    assert "onnxruntime" in seen["modules"]
    assert list(home(tmp_path).iterdir()) == []
    if ISOLATIONS[isolation] == NAMESPACE:
        assert (seen["interfaces"], seen["unroutable"]) == (["lo"], 0)
    if command.startswith("run"):
        assert (tmp_path / "tweets.scored.csv").read_text().startswith("id,text,label,score\n1,")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_verify_needs_no_network(
    tmp_path: Path, tweets: Path, isolation: str, programs: Path
) -> None:
    """Its schema is a file of ours, whatever address the schema has in it."""
    subprocess.run([programs / "tweetscore", "run", tweets.name], cwd=tmp_path, check=True)
    words = ("verify", "tweets.scored.csv", "--rescore", "2")
    done, seen = isolated(ISOLATIONS[isolation], tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert (seen["refused"], CLIENTS & set(seen["modules"])) == ([], set())
    if ISOLATIONS[isolation] == NAMESPACE:
        assert (seen["interfaces"], seen["unroutable"]) == (["lo"], 0)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 9))",
        "socket.getaddrinfo('example.com', 443)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    ],
)
def test_the_audit_hook_sees_an_attempt(tmp_path: Path, attempt: str) -> None:
    """The guard that finds nothing above finds something where there is something."""
    done, seen = isolated((), tmp_path, code=f"sys.addaudithook(guard)\n{attempt}")
    assert "OSError: no socket." in done.stderr
    assert len(seen["refused"]) == 1


def test_the_kernel_counts_an_attempt(tmp_path: Path) -> None:
    """In a namespace even what no hook sees is counted; without one, the hooks."""
    attempt = "socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    (prefix,) = ISOLATIONS.values()
    done, seen = isolated(prefix, tmp_path, code=attempt)
    is_counted = seen["interfaces"] == ["lo"] and seen["unroutable"] > 0
    assert is_counted == (prefix == NAMESPACE), done.stderr
