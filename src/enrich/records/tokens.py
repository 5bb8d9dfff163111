"""The words of a page as redundancy compares them, packed so that they can be kept from build to build (FIELDS.md section 7).

A word is known by 63 bits of a hash and one that says whether it is long, a run of five words by 64 bits computed from theirs. That two of all
runs of a wiki of 20,000 pages share a value has a chance of about 1e-4, and would move one count by one; words are safer still.
"""

from __future__ import annotations

import hashlib
import struct
from functools import cache
from typing import TYPE_CHECKING

import regex

from enrich.metrics.javascript import S, line_breaks

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

MIN_LETTERS = 5  # shorter words say nothing about a page's subject
RUN = 5  # words in a run
_HEADER = struct.Struct("<4sI")
_MAGIC = b"tok1"
# Odd constants from the digits of the golden ratio, one a position, so that the order of the words in a run counts.
_FACTORS = (0x9E3779B97F4A7C15, 0xF39CC0605CEDC835, 0x1082276BF3A27251, 0xF86C6A11D0C18E95, 0x2767F0B153D27B7F)

# Of the polynomial: 3 modulo 8, so that its powers differ in low bits too, and what undoes it modulo 2^64.
_FACTOR = 0x9E3779B97F4A7C13
_INVERSE = pow(_FACTOR, -1, 1 << 64)
_BLANK = 32

_FRONTMATTER = regex.compile(r"^---.*?---", regex.MULTILINE | regex.DOTALL)
_IMPORT = regex.compile(r"^import.*$", regex.MULTILINE)
_FENCE = regex.compile(r"```.*?```", regex.DOTALL)
_TAG = regex.compile(r"<[^>]+>")
_PIPED = regex.compile(r"\|.*\|")
_HEADING = regex.compile(rf"#+[{S}]")
_LINK = regex.compile(r"\[([^\]]+)\]\([^)]+\)")
_BOLD = regex.compile(r"\*\*([^*]+)\*\*")
_ITALIC = regex.compile(r"\*([^*]+)\*")
_WORD_BYTES = bytes(byte if (chr(byte).isalnum() and byte < 128) or byte == 95 else _BLANK for byte in range(256))


def compared_text(text: str) -> bytes:
    """An LF-normalised page text without frontmatter, code, tables, tags and markup: its words in order, lower-case ASCII, blanks between."""
    text = _FRONTMATTER.sub("", line_breaks(text), count=1)
    text = _IMPORT.sub("", text)
    text = _FENCE.sub("", text)
    text = _TAG.sub("", text)
    text = _PIPED.sub("", text)
    text = _HEADING.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _ITALIC.sub(r"\1", _BOLD.sub(r"\1", text))
    return text.lower().encode("ascii", "replace").translate(_WORD_BYTES)


def pack(text: bytes) -> bytes:
    """The words of a compared text in order, each as the 64 bits that it is known by, little-endian, after a header.

    A word's hash is a polynomial over a random number a byte, so that those of all words fall out of two sums over the text.
    """
    import numpy as np

    letters = np.frombuffer(text, np.uint8)
    inside = np.zeros(len(letters) + 2, np.int8)
    inside[1:-1] = letters != _BLANK
    edges = np.diff(inside)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum(_letter_numbers()[letters] * _powers(_FACTOR, len(letters)), out=sums[1:])
    bits = (sums[ends] - sums[starts]) * _powers(_INVERSE, len(letters) + 1)[starts]
    bits ^= bits >> np.uint64(32)
    bits *= np.uint64(_FACTORS[0])
    bits ^= bits >> np.uint64(29)
    long = ends - starts >= MIN_LETTERS
    bits = bits & ~np.uint64(1) | long.astype(np.uint64)
    return _HEADER.pack(_MAGIC, len(_distinct(bits[long]))) + bits.astype("<u8").tobytes()


def words_digest(packed: bytes) -> str:
    """What tells the words of two pages apart."""
    return hashlib.blake2b(packed, digest_size=16).hexdigest()


def count_long(packed: bytes) -> int:
    """How many distinct words of five letters or more a packed page has. Raises `ValueError` for anything that is no packed page."""
    if len(packed) < _HEADER.size or (len(packed) - _HEADER.size) % 8:
        raise ValueError("no packed page")
    magic, long = _HEADER.unpack_from(packed)
    if magic != _MAGIC:
        raise ValueError("no packed page")
    return int(long)


def unpack(packed: bytes) -> tuple[NDArray[uint64], NDArray[uint64]]:
    """(distinct long words, distinct runs of five words) of a packed page, each sorted."""
    import numpy as np

    sequence = np.frombuffer(packed, "<u8", offset=_HEADER.size)
    many = max(0, len(sequence) - RUN + 1)
    runs = np.zeros(many, np.uint64)
    if many:
        for place, factor in enumerate(_FACTORS):
            # A product alone keeps low bits low; the shift brings every bit of a word into play before the sum.
            part = sequence[place : place + many] * np.uint64(factor)
            runs += part ^ (part >> np.uint64(29))
    return _distinct(sequence[(sequence & np.uint64(1)).astype(bool)]), _distinct(runs)


def _distinct(values: NDArray[uint64]) -> NDArray[uint64]:
    """The values sorted, each once (a plain sort is quicker than `np.unique` at these sizes)."""
    import numpy as np

    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def _powers(factor: int, count: int) -> NDArray[uint64]:
    """1, factor, factor², … modulo 2^64."""
    import numpy as np

    powers = np.full(count, factor, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, out=powers)


@cache
def _letter_numbers() -> NDArray[uint64]:
    import numpy as np

    drawn = b"".join(hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256))
    return np.frombuffer(drawn, "<u8").astype(np.uint64)
