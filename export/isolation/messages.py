"""What a confined process and the one that started it tell each other: a line of JSON each time."""

from msgspec import Raw, Struct, json

from export.isolation.limits import Limits


class Order(Struct, frozen=True):
    """What to do, and with what."""

    target: str  # MODULE:FUNCTION
    argument: Raw  # JSON
    readable: list[bytes]  # paths; JSON has them in base64, as they need not be UTF-8
    writable: list[bytes]
    limits: Limits
    parent: int  # the process that waits


class StepDone(Struct, frozen=True, tag=True):
    """A step is done."""

    words: str
    seconds: float | None


class Lacking(Struct, frozen=True, tag=True):
    """What the system cannot withhold from the process."""

    what: list[str]


class Failed(Struct, frozen=True, tag=True):
    """An error has ended the work."""

    kind: str  # the name of a class of scorer.errors
    problem: str
    remedy: str
    trace: str


class Done(Struct, frozen=True, tag=True):
    """The function has returned."""

    result: Raw  # JSON


Message = StepDone | Lacking | Failed | Done

encode = json.encode
order_decoder = json.Decoder(Order)
message_decoder: json.Decoder[Message] = json.Decoder(Message)
