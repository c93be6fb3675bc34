"""What lies in a directory of outputs."""

from pathlib import Path


def names(directory: Path) -> set[str]:
    """Return the names of what is in it, and of what is in its `.tweetscore/`, if it has one."""
    below = directory.glob(".tweetscore/*")
    found = {path.name for path in directory.iterdir()} - {".tweetscore"}
    return found | {f".tweetscore/{path.name}" for path in below}


def with_directory(path: Path) -> Path:
    """Return a path below `.tweetscore/`, with that directory made as a run makes it."""
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(path.parent.parent.stat().st_mode)
    return path
