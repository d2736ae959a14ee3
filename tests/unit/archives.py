"""Archives of code for tests, good ones and attacks."""

import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Mapping

TRAIN = "def fn(params, run):\n    run.report(1, score=params['x'])\n"
FILES = {"train.py": TRAIN, "pkg/__init__.py": "", "pkg/deep.py": "fn = print\n"}


def entry(name: str, mode: int = stat.S_IFREG | 0o644, extra: bytes = b"") -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("x")
    made.filename = made.orig_filename = name
    made.create_system, made.external_attr, made.extra = 3, mode << 16, extra
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def archive(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w") as made:
        warnings.simplefilter("ignore")  # a name that stands twice is what some tests want
        for info, data in entries:
            made.writestr(info, data)
    return content.getvalue()


def files(contents: Mapping[str, str] = FILES) -> bytes:
    return archive(*((entry(name), text.encode()) for name, text in contents.items()))


def one(
    name: str, mode: int = stat.S_IFREG | 0o644, data: bytes = b"x", extra: bytes = b""
) -> bytes:
    """A good file and one that is not."""
    return archive((entry("train.py"), TRAIN.encode()), (entry(name, mode, extra), data))


def claims(size: int) -> bytes:
    """A file of 10 bytes that says it has another size."""
    content = bytearray(archive((entry("train.py"), b"0123456789")))
    at = content.index(b"PK\x01\x02")
    if size < 2**32 - 1:
        content[at + 24 : at + 28] = struct.pack("<I", size)
        return bytes(content)
    content[at + 24 : at + 28] = b"\xff" * 4
    name, extra = at + 46, struct.pack("<HHQ", 1, 8, size)
    content[at + 30 : at + 32] = struct.pack("<H", len(extra))
    content[name + 8 : name + 8] = extra
    end = content.index(b"PK\x05\x06")
    directory = struct.unpack("<I", content[end + 12 : end + 16])[0]
    content[end + 12 : end + 16] = struct.pack("<I", directory + len(extra))
    return bytes(content)


def with_long_end(offset: int = 0) -> bytes:
    """A directory that ends as those of very many entries do, whose end lies elsewhere by so much.

    Some versions of Python look for the end where it should be, and others where it says.
    """
    content = files()
    end = content.index(b"PK\x05\x06")
    count, length, start = struct.unpack_from("<HLL", content, end + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end + offset, 1)
    return content[:end] + record + locator + content[end:]


def overlapping() -> bytes:
    """Two entries in the directory that share the bytes of one."""
    content = bytearray(archive((entry("a.py"), b"1" * 50), (entry("b.py"), b"1" * 50)))
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(content)


def tar_with_a_hard_link() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        link = tarfile.TarInfo("train.py")
        link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
        made.addfile(link)
    return content.getvalue()


_HARD_LINK = b"\x00" * 12 + b"/etc/passwd"

ATTACKS: Mapping[str, tuple[bytes, str]] = {
    "absolute path": (one("/etc/cron.d/x"), "absolute path"),
    "parent path": (one("a/../../x.py"), "parent folder"),
    "drive": (one("C:/x.py"), "letter of a drive"),
    "backslash": (one("..\\x.py"), "backslash"),
    "empty part": (one("a//x.py"), "empty part"),
    "dot": (one("./x.py"), "empty part"),
    "NUL": (one("x\x00.py"), "control character"),
    "long name": (one("x" * 300), "bytes a part"),
    "symbolic link": (one("x", stat.S_IFLNK | 0o777, b"/etc/passwd"), "symbolic link"),
    "hard link": (
        one("x", extra=struct.pack("<HH", 0x000D, len(_HARD_LINK)) + _HARD_LINK),
        "link to another file",
    ),
    "long extra fields": (one("x", extra=struct.pack("<HH", 9, 0) * 300), "1,200 bytes of extra"),
    "hard link in a tar": (tar_with_a_hard_link(), "no zip file"),
    "block device": (one("sda", stat.S_IFBLK | 0o600), "device"),
    "character device": (one("null", stat.S_IFCHR | 0o600), "device"),
    "pipe": (one("pipe", stat.S_IFIFO | 0o600), "pipe"),
    "setuid": (one("x", stat.S_IFREG | 0o4755), "setuid"),
    "bomb": (one("zeros", data=b"\x00" * (8 << 20)), "times its size"),
    "header of 10 GB": (claims(10 * 2**30), "10,737,418,240 bytes"),
    "header too large": (claims(11), "says that it has 11 bytes and has 10"),
    "header too small": (claims(5), "cannot be unpacked"),
    "overlapping": (overlapping(), "where another entry lies"),
    "twice": (archive(*[(entry("train.py"), b"")] * 2), "stands twice"),
    "folder and file": (archive((entry("a"), b""), (entry("a/b"), b"")), "which is a file"),
    "too many": (archive(*((entry(f"{i}.py"), b"") for i in range(60))), "60 entries"),
    "end elsewhere": (with_long_end(-1), "is not where it says"),
    "truncated": (files()[:-30], "cannot be read"),
    "cut in the middle": (files()[:100] + files()[140:], "lies where"),
    "no archive": (b"#!/bin/sh\nrm -rf /\n", "no zip file"),
    "empty": (b"", "no zip file"),
    "no file": (archive((entry("a/", stat.S_IFDIR | 0o755), b"")), "no file"),
    "hides ours": (one("workers/__init__.py"), "hides a package"),
    "hides ours in C": (one("sweep.cpython-311-x86_64-linux-gnu.so"), "hides a package"),
    "hides ours in bytecode": (one("ray/__init__.pyc"), "hides a package"),
    "twice but for case": (one("Train.py"), "is the same file as 'train.py'"),
    "twice but for the form": (
        archive((entry("\u00e9.py"), b""), (entry("e\u0301.py"), b"")),
        "is the same file as",
    ),
    "folder and file but for case": (one("TRAIN.py/x"), "lies in 'train.py'"),
}
"""What each is called, its bytes, and what the refusal says."""
