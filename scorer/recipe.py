"""What makes the same scorer in every process: small, comparable, picklable, and no model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.errors import InvalidBundle

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.runtime.select import Device, Precision

_SHOWN = 12  # digits of a digest that tell two bundles apart


@dataclass(frozen=True, slots=True)
class Recipe:
    """The arguments of a `Scorer`, and which bundle they meant."""

    model: Path | None  # the bundle's directory; None: the embedded one of each machine
    digest: str
    classes: tuple[str, ...]  # the bundle's labels, in id order
    labels: tuple[str, ...]  # what they are called in answers
    device: "Device" = "auto"
    precision: "Precision" = "auto"
    threads: int | None = None  # None: as many as the process may use

    def open_bundle(self) -> "Bundle":
        """Verify the bundle that this process finds under the recipe's path, and return it.

        Raises:
            InvalidBundle: It is not usable, or not the one that was meant.
        """
        from scorer.inference.bundle import open_bundle

        bundle = open_bundle(self.model)
        if bundle.digest != self.digest:
            raise InvalidBundle(
                f"{bundle.directory} is {bundle.name} {bundle.version} "
                f"({bundle.digest[:_SHOWN]}), not the bundle that this scorer was made with "
                f"({self.digest[:_SHOWN]})",
                "put the same bundle and the same release of tweetscore on every machine",
            )
        return bundle
