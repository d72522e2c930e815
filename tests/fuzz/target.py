"""What a fuzz target is, and how an input is made from its seeds."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Values that readers of text do not expect, put in place of numbers, strings and words.
TOKENS = [
    *(b"0", b"-1", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e-320", b"0.5", b"4.5"),
    *(b"1000000000", b"9223372036854775808", b"9" * 400, b"9" * 5000, b"null", b"true", b"false", b'""', b'"x"', b"''"),
    *(
        b"[]",
        b"{}",
        b"[[]]",
        b"[0]",
        b'{"a": 1}',
        b"[" * 300,
        b"[" * 200_000,
        b'"\\ud800"',
        b'"\\u0000"',
        b"1979-05-27",
    ),
    *(b"../../x", b"/dev/zero", b"\xff\xfe", b"\0", b"\r", b"\x1b[2J"),
]
_TOKEN = re.compile(rb'"[^"\n]{0,60}"|-?\d+(?:\.\d+)?|\w+')
# Numbers of headers: signs, limits of types, small ones.
_NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 20, 30_000]
_MOST_STEPS = 4
#: The structure of most files stands in this share of them.
_HEAD = 0.1


@dataclass(frozen=True)
class Target:
    """A reader of foreign files.

    Attributes
    ----------
    name : str
    make_seeds : callable
        Gives sound files, made by code.
    read : callable
        Takes the bytes of a file and an empty folder, and reads the file with the package.
    documented : tuple of exceptions
        What the reader may raise, in one line. Anything else is a failure.
    is_text : bool
        Whether parts of the file are replaced by `TOKENS`, too.
    """

    name: str
    make_seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    documented: tuple[type[Exception], ...]
    is_text: bool = False

    def make_input(self, number: int) -> bytes:
        """The input of a number: a seed, changed at a few places. The first numbers are the seeds themselves."""
        seeds = _get_seeds(self)
        if number < len(seeds):
            return seeds[number]
        chance = random.Random(number)
        data = chance.choice(seeds)
        for _ in range(chance.randint(1, _MOST_STEPS)):
            step = chance.choice(_TEXT_STEPS if self.is_text and chance.random() < 0.8 else _STEPS)
            data = step(data, chance)
        return data

    def check(self, data: bytes, folder: Path) -> bool:
        """Read an input; whether it was accepted. An undocumented exception passes through."""
        try:
            self.read(data, folder)
        except self.documented as error:
            if "\n" in str(error):
                raise AssertionError(f"an error of several lines: {error!r}") from error
            return False
        return True


@cache
def _get_seeds(target: Target) -> list[bytes]:
    return target.make_seeds()


def _choose_place(data: bytes, chance: random.Random) -> int:
    share = chance.random() * (_HEAD if chance.random() < 0.5 else 1)
    return int(share * len(data))


def _change_bytes(data: bytes, chance: random.Random) -> bytes:
    place, values = _choose_place(data, chance), chance.randbytes(chance.randint(1, 8))
    return data[:place] + values + data[place + len(values) :]


def _change_bit(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    place = min(_choose_place(data, chance), len(data) - 1)
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _change_number(data: bytes, chance: random.Random) -> bytes:
    place, length = _choose_place(data, chance), chance.choice((2, 4, 8))
    value = (chance.choice(_NUMBERS) & (1 << 8 * length) - 1).to_bytes(length, chance.choice(("little", "big")))
    return data[:place] + value + data[place + length :]


def _remove(data: bytes, chance: random.Random) -> bytes:
    place = _choose_place(data, chance)
    return data[:place] + data[place + chance.choice((1, 2, 8, 64)) :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = _choose_place(data, chance)
    return data[:place] + chance.randbytes(chance.choice((1, 2, 8, 64))) + data[place:]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _choose_place(data, chance)]


def _erase(data: bytes, chance: random.Random) -> bytes:
    place, length = _choose_place(data, chance), chance.randrange(1, 2 + len(data) // 3)
    return data[:place] + bytes(length) + data[place + length :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, length, place = _choose_place(data, chance), chance.choice((4, 16, 200)), _choose_place(data, chance)
    return data[:place] + data[start : start + length] + data[place:]


def _replace_token(data: bytes, chance: random.Random) -> bytes:
    places = [found.span() for found in _TOKEN.finditer(data)]
    if not places:
        return data
    start, end = chance.choice(places)
    return data[:start] + chance.choice(TOKENS) + data[end:]


def _swap_tokens(data: bytes, chance: random.Random) -> bytes:
    places = [found.span() for found in _TOKEN.finditer(data)]
    if len(places) < 2:
        return data
    (start, end), (other, other_end) = chance.choice(places), chance.choice(places)
    return data[:start] + data[other:other_end] + data[end:]


_STEPS = [
    _change_bytes,
    _change_bytes,
    _change_bit,
    _change_number,
    _change_number,
    _remove,
    _insert,
    _cut,
    _erase,
    _repeat,
]
_TEXT_STEPS = [_replace_token, _replace_token, _replace_token, _swap_tokens, _remove, _repeat]
