"""The CSV rules once more: slow, byte by byte, and obviously right."""

from dataclasses import dataclass

QUOTE, CR, LF = b'"'[0], b"\r"[0], b"\n"[0]


@dataclass(frozen=True)
class Row:
    """A row."""

    raw: bytes
    ending: bytes
    text: bytes | None


@dataclass(frozen=True)
class Lost:
    """A reject."""

    line: int
    kind: str
    raw: bytes


@dataclass
class Parsed:
    """A record from `start` to `end`, or why and where it failed."""

    kind: str
    end: int
    stop: int
    cells: list[tuple[int, int]]


def parse(  # noqa: C901, PLR0911, PLR0912 - one byte, one decision, all in one place
    content: bytes, start: int, limit: int, delimiter: int, ending: int
) -> Parsed:
    state, cell, cells = "start", start, []
    for i in range(start, limit):
        byte = content[i]
        if state == "quoted":
            state = "after" if byte == QUOTE else "quoted"
        elif state == "after cr":
            if byte != LF:
                return Parsed("text-after-quote", i - 1, 0, [])
        elif (state == "start" and byte == QUOTE) or (state == "after" and byte == QUOTE):
            state = "quoted"
        elif byte == delimiter:
            cells.append((cell, i))
            state, cell = "start", i + 1
        elif state == "after" and byte == CR and ending == LF:
            state = "after cr"
        elif state == "after" and byte != ending:
            return Parsed("text-after-quote", i, 0, [])
        elif byte != ending:
            state = "plain"
        if byte == ending and state != "quoted":
            cr = ending == LF and i > start and content[i - 1] == CR
            return Parsed("row", i - cr, i + 1, [*cells, (cell, i - cr)])
    if state == "quoted":
        return Parsed("open-quote", limit, 0, [])
    if limit < len(content):
        return Parsed("record-too-long", limit, 0, [])
    if state == "after cr":
        return Parsed("text-after-quote", limit - 1, 0, [])
    return Parsed("row", limit, limit, [*cells, (cell, limit)])


def value(cell: bytes) -> bytes | None:
    if not cell:
        return None
    return cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def split(  # noqa: PLR0915 - the rules in the order in which they apply
    content: bytes, cells: int, text_cell: int, delimiter: int, ending: int, cap: int
) -> list[Row | Lost]:
    """Return rows and rejects in order."""
    found: list[Row | Lost] = []
    at = doubtful = 0
    while at < len(content):
        line = 1 + content[:at].count(ending)
        line_end = content.find(ending, at)
        alone = 0 <= line_end < doubtful
        limit = line_end + 1 if alone else min(len(content), at + cap + 1)
        parsed = parse(content, at, limit, delimiter, ending)
        if parsed.kind == "row":
            raw = content[at : parsed.end]
            if not is_utf8(raw):
                found.append(Lost(line, "encoding", raw))
            elif len(parsed.cells) != cells:
                found.append(Lost(line, "field-count", raw))
            else:
                first, last = parsed.cells[text_cell]
                text = value(content[first:last])
                found.append(Row(raw, content[parsed.end : parsed.stop], text))
            at = parsed.stop
            continue
        doubtful = max(doubtful, parsed.end)
        stop = len(content) if line_end < 0 else line_end + 1
        if stop - at > cap + 1:
            cut = at + cap
            while cut > at + cap - 4 and content[cut] & 0xC0 == 0x80:
                cut -= 1
            found.append(Lost(line, "record-too-long", content[at:cut]))
        else:
            raw = content[at:stop]
            if ending == LF and raw.endswith(b"\r\n"):
                raw = raw[:-2]
            found.append(Lost(line, parsed.kind, raw.removesuffix(bytes([ending]))))
        at = stop
    return found
