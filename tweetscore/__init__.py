"""`scorer` under the name that is installed: `from tweetscore import Scorer`.

Names load on first use, as they do there.
"""

from typing import TYPE_CHECKING, Any

import scorer
from scorer import __all__

if TYPE_CHECKING:
    from scorer import *  # noqa: F403 - type checkers know the names without a second list of them
else:  # they would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(scorer, name)


def __dir__() -> list[str]:
    return sorted(__all__)
