"""Trials' logs as people read them."""

from collections.abc import Iterable, Iterator

from sweep.records import LogRecord


def as_text(pieces: Iterable[LogRecord]) -> Iterator[str]:
    """The text of a log, each attempt under a line that says which it is."""
    work, ended = None, True
    for piece in pieces:
        if piece.work != work:
            work = piece.work
            yield ("" if ended else "\n") + heading(piece) + "\n"
        yield piece.text
        ended = piece.text.endswith("\n")


def heading(piece: LogRecord) -> str:
    """The line above what one attempt printed."""
    parts = [f"attempt {piece.attempt}"]
    if piece.packed:
        parts.append(f"in pack {piece.work}")
    if piece.node is not None:
        parts.append(f"on {piece.node}")
    return f"==> {', '.join(parts)} <=="
