"""The least and the most of each number that a call may name: one place for all of them.

The command line, `tweetscore.toml`, the environment and the Python API hold numbers against the
same bounds. A number beyond them is a slip of the hand: it would fill the memory or the process
table before anybody could see what is wrong.
"""

import math
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from scorer.threads import available_cpus

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST = 400  # characters: Python reads no more than 4,300 digits, and no number has as many
_SHOWN = 40  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number has to be."""

    least: float
    most: float
    whole: bool = True
    above: bool = False  # the least itself is too little
    below: bool = False  # the most itself is too much
    or_none: bool = False  # 0 is none of them, which is right too
    per_cpu: bool = False  # the most is for each CPU that this process may use

    @property
    def most_here(self) -> float:
        """The most on this box."""
        return self.most * available_cpus() if self.per_cpu else self.most

    def holds(self, number: Any) -> bool:
        """Tell whether a number lies within; what is no number does not."""
        if not self._is_number(number):
            return False
        if number == 0 and self.or_none:
            return True
        most = self.most_here
        enough = self.least < number if self.above else self.least <= number
        return bool(enough and (number < most if self.below else number <= most))

    def _is_number(self, value: object) -> bool:
        return isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)

    def parse(self, text: str) -> int | float | None:
        """Read a number as people write it; None where it is none, or not within the bounds.

        Python would also take `1_000`, blanks around it, and the digits of any script.
        """
        if len(text) > _LONGEST or not (_WHOLE if self.whole else _DECIMAL).fullmatch(text):
            return None
        number = int(text) if self.whole else float(text)
        return number if self.holds(number) else None

    def complaint(self, value: object) -> str:
        """Return what is wrong with a value: a clause that begins with it."""
        kind = "whole number" if self.whole else "number"
        return f"{shortened(value)} is not a {kind} {self._range(self.most_here)}"

    @property
    def anywhere(self) -> str:
        """The range as a help shows it, which is the same on every box."""
        return self._range(self.most) + (" for each CPU" if self.per_cpu else "")

    def _range(self, most: float) -> str:
        if self.above:
            return f"above {self.least:,} and up to {most:,}"
        least = f"that is 0, or from {self.least:,}" if self.or_none else f"from {self.least:,}"
        return f"{least} to {'below ' if self.below else ''}{most:,}"


def shortened(value: object) -> str:
    """Return a value as Python shows it, cut where it is endless."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_SHOWN:
        return f"a number of more than {_SHOWN} digits"  # Python itself refuses to show it
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


ROWS = Bounds(1, 10**12)  # no file has more
SOME_ROWS = Bounds(0, 10**12)
# A window is held in memory, with its token ids and answers: ten million take 5 GB.
WINDOW = Bounds(1, 10_000_000)
# Four for each CPU is more than any batch gains from. Each costs memory, and a stack.
THREADS = Bounds(1, 4, per_cpu=True)
SECONDS = Bounds(0, 7 * 24 * 3600, whole=False)  # a week; PostgreSQL waits for less than 25 days
DRIFT = Bounds(0, 100, whole=False, above=True)  # of PSI, which hardly ever exceeds 20

# Of the training.
EPOCHS = Bounds(0, 1000, whole=False, above=True)
RATE = Bounds(0, 1, whole=False, above=True)
BATCH = Bounds(1, 65_536)
DECAY = Bounds(0, 10, whole=False)
TOKENS = Bounds(3, 65_536)
SEED = Bounds(0, 2**32 - 1)
FOLDS = Bounds(2, 20, or_none=True)  # one would be learnt from nothing
SHARE = Bounds(0, 1, whole=False)
PART = Bounds(0, 1, whole=False, below=True)
