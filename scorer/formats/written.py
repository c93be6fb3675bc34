"""What a format says of an output that it has written."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import hashlib


@dataclass(frozen=True, slots=True)
class SchemaKeys:
    """What became of a file's keys that hold its schema in another format."""

    extended: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_scored` has written."""

    rows: int
    copied_bytes: int | None = None  # of the input, as they stood; None where it was written anew
    schema_keys: SchemaKeys | None = None  # likewise
    # The SHA-256 of the copied bytes as the output has them, which a thread makes meanwhile.
    hashed: "Future[hashlib._Hash] | None" = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return what belongs under "output" in the run report."""
        found: dict[str, Any] = {"rows": self.rows}
        if self.copied_bytes is not None:
            found["copied_bytes"] = self.copied_bytes
        if self.schema_keys is not None:
            keys = self.schema_keys
            found["schema_keys"] = {"extended": [*keys.extended], "dropped": [*keys.dropped]}
        return found
