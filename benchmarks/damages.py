"""Ways in which a file is damaged by chance, each told by a seed and a number."""

from __future__ import annotations

import random
from collections.abc import Callable


def damaged(data: bytes, seed: int, number: int) -> tuple[str, bytes]:
    """Return what is done to a film, and the film after it; the same seed and number do the same."""
    chance = random.Random(f"{seed} {number}")
    how = chance.choice(sorted(DAMAGES))
    changed = bytearray(data)
    DAMAGES[how](changed, chance)
    return how, bytes(changed)


def _flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 4, 16, 64])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _flip_in_header(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 8])):
        data[chance.randrange(min(len(data), 600))] = chance.randrange(256)


def _extreme_numbers(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3])):
        at = chance.randrange(max(len(data) - 8, 1))
        value = chance.choice([b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0" * 4, b"\0\0\0\1", b"\x80\0\0\0"])
        data[at : at + 4] = value


def _extreme_numbers_at_ends(data: bytearray, chance: random.Random) -> None:
    reach = min(len(data) - 8, 900)
    at = chance.randrange(reach) if chance.random() < 0.5 else len(data) - 8 - chance.randrange(reach)
    data[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\0\0\0\1", b"\x40\0\0\0"])


def _cut_off(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def _cut_out(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice([1, 7, 188, 1000, 5000])]


def _blank(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.choice([4, 64, 512, 4096])
    end = min(at + length, len(data))
    data[at:end] = bytes(end - at)


def _repeat(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.choice([4, 188, 2000])
    data[at:at] = data[at : at + length]


def _swap(data: bytearray, chance: random.Random) -> None:
    length = chance.choice([16, 188, 1024])
    first, second = (chance.randrange(max(len(data) - length, 1)) for _ in range(2))
    one, other = data[first : first + length], data[second : second + length]
    data[first : first + length], data[second : second + length] = other, one


def _noise(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.choice([16, 256, 2048])
    end = min(at + length, len(data))
    data[at:end] = chance.randbytes(end - at)


DAMAGES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "bits flipped": _flip_bits,
    "header changed": _flip_in_header,
    "extreme numbers": _extreme_numbers,
    "extreme numbers at the ends": _extreme_numbers_at_ends,
    "cut off": _cut_off,
    "a piece cut out": _cut_out,
    "a piece blank": _blank,
    "a piece repeated": _repeat,
    "two pieces swapped": _swap,
    "a piece of noise": _noise,
}
