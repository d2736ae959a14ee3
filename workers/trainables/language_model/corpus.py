"""The texts: WikiText-103 from its token files, or a stand-in that Python itself ships.

S. Merity et al., "Pointer Sentinel Mixture Models" (2016) for WikiText-103, whose files
hold one paragraph or heading a line, words between blanks, rare words as `<unk>`. The
end of a line becomes the word `<eos>`, which makes 267,735 words of vocabulary.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch import Tensor

from sweep.errors import TrialFault
from workers.trainables.language_model import CorpusName

UNKNOWN = "<unk>"
END = "<eos>"
FILES = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")

_RARE = 3
"""Words of the stand-in's training part that are rarer become `<unk>`."""
_SHARES = (0.8, 0.1, 0.1)
"""What the stand-in's training, validation and test parts have of its words."""
_WORD = re.compile(r"[^\W\d]\w*|\d+|[^\w\s]")
_BLANK_LINE = re.compile(r"\n\s*\n")

Document = list[list[str]]
"""The words of each paragraph."""

Lines = Iterable[Sequence[str]]
"""The words of each line, without the end of the line."""


@dataclass(frozen=True)
class Corpus:
    """A text in three parts, each a line of word numbers."""

    vocabulary: tuple[str, ...]
    train: Tensor
    """(words,), int32, as are the other two."""
    valid: Tensor
    test: Tensor

    def text(self, part: Tensor) -> str:
        """The words of a part, one line a line, as the token files hold them."""
        words = [self.vocabulary[number] for number in part.tolist()]
        return "".join(" \n" if word == END else f" {word}" for word in words)


@lru_cache(maxsize=1)
def load(name: CorpusName, path: str | None) -> Corpus:
    """The corpus; the last one is kept, as trials in one process mostly share it.

    Raises:
        TrialFault: when there are no token files in `path`.
    """
    if name == "topics":
        return stand_in(topics)
    return read_token_files(Path(path or "."))


def read_token_files(folder: Path) -> Corpus:
    """WikiText's three files, numbered by the first appearance in the training file.

    Raises:
        TrialFault: when a file is missing, is no UTF-8 text or is empty.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TrialFault(
            f"there is no {', '.join(missing)} in {str(folder)!r}: get the word-level "
            "WikiText-103 (wikitext-103-v1.zip, 181 MB), unpack it where every worker can "
            "read it, and give that folder as parameter 'path'"
        )
    numbers: dict[str, int] = {END: 0, UNKNOWN: 1}
    train = _growing(_lines(folder / FILES[0]), numbers)
    valid, test = (_known(_lines(folder / name), numbers) for name in FILES[1:])
    for name, part in zip(FILES, (train, valid, test), strict=True):
        if len(part) == 0:
            raise TrialFault(f"{str(folder / name)!r} is empty")
    return Corpus(tuple(numbers), train, valid, test)


def stand_in(texts: dict[str, str]) -> Corpus:
    """The stand-in from texts by title: words in lower case, each paragraph kept once.

    Texts that quote each other would otherwise carry training text into the test.
    """
    seen: set[tuple[str, ...]] = set()
    documents = []
    for title in sorted(texts):
        fresh = [words for words in _paragraphs(texts[title]) if tuple(words) not in seen]
        seen.update(map(tuple, fresh))
        documents.append(fresh)
    train, valid, test = _shared_out(documents)
    counts = Counter(word for words in train for word in words)
    kept = [word for word, count in counts.items() if count >= _RARE]
    numbers = {word: i for i, word in enumerate([END, UNKNOWN, *kept])}
    return Corpus(tuple(numbers), *(_known(part, numbers) for part in (train, valid, test)))


def _shared_out(documents: Sequence[Document]) -> list[Document]:
    """Whole documents for each part: the largest first, each to the part that lacks most."""
    sizes = [sum(map(len, document)) for document in documents]
    lacking = [share * sum(sizes) for share in _SHARES]
    owner = [0] * len(documents)
    for i in sorted(range(len(documents)), key=lambda i: -sizes[i]):
        owner[i] = lacking.index(max(lacking))
        lacking[owner[i]] -= sizes[i]
    return [
        [words for i, document in enumerate(documents) if owner[i] == part for words in document]
        for part in range(len(_SHARES))
    ]


def _paragraphs(text: str) -> Iterator[list[str]]:
    """The words of each paragraph, without lines that only underline."""
    for paragraph in _BLANK_LINE.split(text.lower()):
        lines = [line for line in paragraph.splitlines() if any(map(str.isalnum, line))]
        words = _WORD.findall(" ".join(lines))
        if words:
            yield words


def _lines(file: Path) -> Iterator[list[str]]:
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield line.split()
    except UnicodeDecodeError as error:
        raise TrialFault(f"{str(file)!r} is no UTF-8 text: {error}") from None


def _growing(lines: Lines, numbers: dict[str, int]) -> Tensor:
    """Word numbers, new ones for new words."""
    found = array("i")
    for words in lines:
        found.extend([numbers.setdefault(word, len(numbers)) for word in words])
        found.append(numbers[END])
    return _tensor(found)


def _known(lines: Lines, numbers: dict[str, int]) -> Tensor:
    """Word numbers, `<unk>` for new words."""
    found, unknown = array("i"), numbers[UNKNOWN]
    for words in lines:
        found.extend([numbers.get(word, unknown) for word in words])
        found.append(numbers[END])
    return _tensor(found)


def _tensor(numbers: "array[int]") -> Tensor:
    return torch.frombuffer(numbers, dtype=torch.int32) if numbers else torch.empty(0).int()
