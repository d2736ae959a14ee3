"""What a training process prints, caught at its file descriptors, in bounded space.

While work trains, descriptors 1 and 2 of its process lead to two files on its node, so
what C libraries, subprocesses and a crash print is there too, and is there still when
the process is gone. The files are all the buffer there is: of each stream the first
`HEAD_BYTES` and the last `TAIL_BYTES` are kept; what lies between is given back to the
disk while the work trains. A file rather than a pipe, which would hold the training up
whenever nobody reads it.

The process tells the head with its updates. What it has not told when the work is over,
`leftover` reads from the files: on the same node, after the process too.
"""

import codecs
import ctypes
import fcntl
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

Stream = Literal["stdout", "stderr"]

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 256 * 1024
MAX_PIECE_BYTES = 32 * 1024
MAX_TOLD_PIECES = 4_000
"""How many pieces a work tells while it trains; what it prints then is told at its end."""

_STREAMS: tuple[tuple[Stream, int], ...] = (("stdout", 1), ("stderr", 2))
_TRIM_EVERY_S = 0.1
_TRIM_BYTES = 1 << 20
_MAX_UNTRIMMED_BYTES = 64 << 20
_PAGE_BYTES = 4096
_KEPT_S = 3600.0
_PUNCH_HOLE_KEEP_SIZE = 0x03
_LINE_BUFFERED = 1


@dataclass(frozen=True)
class Piece:
    """Some of what was printed to one stream."""

    stream: Stream
    text: str
    time: datetime


@dataclass(frozen=True)
class Output:
    """What was printed since the update before."""

    pieces: tuple[Piece, ...] = ()
    told: tuple[int, int] = (0, 0)
    """How many bytes of stdout and of stderr have been told by now."""
    more: bool = False
    """Whether something is left that was not told."""


NO_OUTPUT = Output()


def log_folder() -> Path:
    """The folder on this node where captured output lies.

    Raises:
        OSError: when it cannot be made, or is another user's.
    """
    folder = Path(tempfile.gettempdir()) / f"sweep-logs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"the folder {folder} is another user's")
    return folder


class Capture:
    """Catches what this process prints from now on, until `end`.

    Args:
        name: names the files; no other work on any node has it. None: nothing is caught.
    """

    def __init__(self, name: str | None) -> None:
        self._files: list[_File] = []
        self._pieces = 0
        self._problem: str | None = None
        self._over = threading.Event()
        if name is None:
            return
        try:
            self._begin(name)
        except OSError as error:
            self.end()
            self._problem = f"[what this work prints is not kept: {error}]\n"

    def _begin(self, name: str) -> None:
        folder = log_folder()
        _tidy(folder)
        _buffer_lines()
        _flush()
        for stream, number in _STREAMS:
            self._files.append(_File(stream, number, folder / f"{name}.{stream}"))
        threading.Thread(target=self._trim, name="capture", daemon=True).start()

    def note(self, text: str) -> None:
        """Print a line of the service's own to stderr."""
        if self._files:
            with suppress(OSError):  # such as a full disk
                os.write(2, f"{text.rstrip()}\n".encode(errors="replace"))

    def collect(self, *, last: bool = False) -> Output:
        """What was printed since the call before, `MAX_PIECE_BYTES` of each stream at most.

        Args:
            last: whether nothing more is printed, so that half a line is told too.
        """
        problem, self._problem = self._problem, None
        if problem is not None:
            return Output((Piece("stderr", problem, datetime.now(UTC)),))
        pieces: list[Piece] = []
        for file in self._files:
            if self._pieces < MAX_TOLD_PIECES and (text := file.read(whole=last)):
                pieces.append(Piece(file.stream, text, datetime.now(UTC)))
                self._pieces += 1
        told = tuple(file.told for file in self._files) or (0, 0)
        more = any(file.size > file.told for file in self._files)
        if last and not more:  # the driver may end before this process is told to
            for file in self._files:
                file.remove()
        return Output(tuple(pieces), (told[0], told[1]), more)

    def end(self) -> None:
        """Let the process print where it did before; files that were told whole go."""
        if not self._over.is_set():
            self._over.set()
            _flush()
            for file in self._files:
                file.close()

    def _trim(self) -> None:
        while not self._over.wait(_TRIM_EVERY_S):
            for file in self._files:
                with suppress(OSError):  # the work ended meanwhile
                    file.trim()


class _File:
    """A descriptor of this process and the file to which it leads."""

    def __init__(self, stream: Stream, number: int, path: Path) -> None:
        self.stream = stream
        self.told = 0
        self._number = number
        self._path = path
        self._trimmed = HEAD_BYTES
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._before = os.dup(number)
        os.dup2(self._file, number)

    @property
    def size(self) -> int:
        """How many bytes have been printed."""
        return os.fstat(self._file).st_size

    def read(self, *, whole: bool) -> str:
        """The next text of the head."""
        most = max(0, min(MAX_PIECE_BYTES, HEAD_BYTES - self.told))
        data = os.pread(self._file, most, self.told)
        text, taken = cut(data, whole=whole and self.told + len(data) == self.size)
        self.told += taken
        return text

    def trim(self) -> None:
        """Give back what lies between the head and the tail."""
        end = (self.size - TAIL_BYTES) // _PAGE_BYTES * _PAGE_BYTES
        if end - self._trimmed < _TRIM_BYTES:
            return
        if _punch(self._file, self._trimmed, end - self._trimmed):
            self._trimmed = end
        elif self.size > _MAX_UNTRIMMED_BYTES:
            os.write(self._file, b"\n[nothing more is kept: this disk gives no space back]\n")
            self._restore(os.open(os.devnull, os.O_WRONLY))
            self._trimmed = sys.maxsize

    def close(self) -> None:
        """Let the descriptor lead where it did before."""
        self._restore(self._before)
        if self.size == self.told:
            self.remove()
        os.close(self._file)

    def remove(self) -> None:
        """Take the file's name away; what it holds goes with the last who has it open."""
        self._path.unlink(missing_ok=True)

    def _restore(self, target: int) -> None:
        os.dup2(target, self._number)
        os.close(target)


def leftover(name: str, told: tuple[int, int]) -> tuple[Piece, ...]:
    """What lies on this node of a work's output that was not told; its files go.

    Args:
        name: as `Capture` was given it.
        told: how many bytes of stdout and of stderr are known.
    """
    pieces: list[Piece] = []
    for (stream, _), known in zip(_STREAMS, told, strict=True):
        path = log_folder() / f"{name}.{stream}"
        with suppress(FileNotFoundError):
            pieces += _left_in(path, stream, known)
            path.unlink(missing_ok=True)
    return tuple(pieces)


def _left_in(path: Path, stream: Stream, told: int) -> list[Piece]:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        size, time_ = found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)
        after_head = max(told, min(size, HEAD_BYTES))
        tail_from = max(after_head, size - TAIL_BYTES)
        file.seek(told)
        if tail_from == after_head:
            texts = _texts(file.read(size - told))
        else:
            texts = _texts(file.read(after_head - told))
            file.seek(tail_from)
            tail = file.read(size - tail_from)
            half = tail.find(b"\n") + 1  # of a line whose start is not kept
            left_out = tail_from + half - after_head
            texts += [f"\n[{left_out:,} bytes are left out here]\n", *_texts(tail[half:])]
    return [Piece(stream, text, time_) for text in texts]


def _texts(data: bytes) -> list[str]:
    """The data as texts of a piece's size."""
    texts = []
    while data:
        text, taken = cut(data[:MAX_PIECE_BYTES], whole=len(data) <= MAX_PIECE_BYTES)
        texts.append(text)
        data = data[taken:]
    return texts


def cut(data: bytes, *, whole: bool) -> tuple[str, int]:
    """The text of the lines that end in the data, and how many bytes they are.

    Where no line ends, all characters that do. What is no UTF-8 becomes U+FFFD.

    Args:
        data: what was printed.
        whole: whether to take half a line and half a character too.
    """
    if not whole and (end := data.rfind(b"\n") + 1):
        data = data[:end]
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(data, final=whole)
    return text, len(data) - len(decoder.getstate()[0])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # users may have put anything there
            stream.flush()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _buffer_lines() -> None:
    """Have the C library write each line at once, as Python's streams in a worker do."""
    with suppress(AttributeError, ValueError):  # a C library that names its streams otherwise
        stdout = ctypes.c_void_p.in_dll(_libc(), "stdout")
        _libc().setvbuf(stdout, None, _LINE_BUFFERED, 0)


def _punch(file: int, start: int, length: int) -> bool:
    """Give a range's space back to the disk, sizes kept; whether the disk can."""
    try:
        fallocate = _libc().fallocate
    except AttributeError:
        return False
    offsets = (ctypes.c_int64(start), ctypes.c_int64(length))
    return bool(fallocate(file, _PUNCH_HOLE_KEEP_SIZE, *offsets) == 0)


@cache
def _tidy(folder: Path) -> None:
    """Remove files of processes that are gone and that nobody asked for in an hour."""
    for path in folder.iterdir():
        with suppress(OSError):  # another process does the same
            if path.stat().st_mtime < time.time() - _KEPT_S:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
