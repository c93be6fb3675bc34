"""What is said where the operating system is not Linux; docs/windows-macos.md says more."""

import sys

NOT_ON_WINDOWS = (
    "tweetscore does not run on Windows itself; install it in WSL (once, in PowerShell: "
    "wsl --install -d Ubuntu) or use a container"
)


def not_tested() -> str:
    """Return the warning about this system; nothing on Linux, where all tests are run."""
    platform: str = sys.platform  # mypy would take it for the one that it runs on
    if platform == "linux":
        return ""
    system = "macOS" if platform == "darwin" else platform
    return (
        f"tweetscore is not tested on {system}: nothing is promised about files that are replaced "
        "or locked; use a container"
    )
