"""What breaks a file: bytes changed at random, and JSON changed where it hurts."""

import json
import random
from typing import Any

__all__ = ["broken_bytes", "broken_json"]

EDGES = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)


def broken_bytes(generator: random.Random, data: bytes) -> bytes:
    """Returns data with one to four changes of any kind."""
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        data = generator.choice(_CHANGES)(generator, bytearray(data))
    return data


def _flip(generator: random.Random, data: bytearray) -> bytes:
    for _ in range(generator.choice((1, 1, 2, 8, 64))):
        if data:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return bytes(data)


def _set(generator: random.Random, data: bytearray) -> bytes:
    # sizes, counts and addresses are little-endian in all of these formats
    size = generator.choice((1, 2, 4, 8))
    value = generator.choice((*EDGES, len(data), len(data) - 1, generator.getrandbits(64)))
    place = _place(generator, data)
    data[place : place + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(data)


def _cut(generator: random.Random, data: bytearray) -> bytes:
    return bytes(data[: _place(generator, data)])


def _extend(generator: random.Random, data: bytearray) -> bytes:
    return bytes(data) + bytes(generator.choices(range(256), k=generator.randrange(1, 200)))


def _splice(generator: random.Random, data: bytearray) -> bytes:
    start, place = _place(generator, data), _place(generator, data)
    part = data[start : start + generator.randrange(1, 300)]
    if generator.random() < 0.5:
        data[place:place] = part
    else:
        data[place : place + len(part)] = part
    return bytes(data)


def _remove(generator: random.Random, data: bytearray) -> bytes:
    place = _place(generator, data)
    del data[place : place + generator.randrange(1, 300)]
    return bytes(data)


def _wipe(generator: random.Random, data: bytearray) -> bytes:
    place, length = _place(generator, data), generator.randrange(1, 300)
    data[place : place + length] = bytes([generator.choice((0, 0xFF))]) * len(
        data[place : place + length]
    )
    return bytes(data)


def _place(generator: random.Random, data: bytearray) -> int:
    # headers come first, and there is most to break
    most = max(1, generator.choice((len(data), len(data), min(600, len(data)))))
    return generator.randrange(most)


_CHANGES = (_flip, _flip, _flip, _set, _set, _set, _cut, _extend, _splice, _remove, _wipe)

# JSON as text, since some of it no encoder would write.
VALUES = (
    *(
        [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1",
            "2",
            "3",
            "50",
            "51",
            "261",
            "262",
            "263",
            "1.5",
            "1e400",
            "-1e400",
            "NaN",
            "Infinity",
        ]
    ),
    *(["1000000000", "1000000000000", "99999999999999999999", "18446744073709551616"]),
    *("1" * 5000, "-" + "9" * 40, '""', '"x"', '"\\ud800"', '"\\u0000"', '"' + "x" * 10_000 + '"'),
    *("[]", "{}", "[[]]", '{"": null}', "[[1, 2, 3]]", "[[0, 0]]", "[[1, 1000000000]]"),
    *("[" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 100_000, "[" + "[1,1]," * 1000 + "[1,1]]"),
)


def broken_json(generator: random.Random, contents: Any) -> bytes:
    """Returns JSON with one to three places changed, removed or added; or with broken bytes."""
    if generator.random() < 0.15:
        return broken_bytes(generator, json.dumps(contents).encode())
    contents = json.loads(json.dumps(contents))
    fillings: dict[str, str] = {}
    for number in range(generator.choice((1, 1, 2, 3))):
        mark = f"@{number}@"
        fillings[f'"{mark}"'] = generator.choice(VALUES)
        contents = _with(generator, contents, mark)
    text = json.dumps(contents, ensure_ascii=generator.random() < 0.5)
    for mark, value in fillings.items():
        text = text.replace(mark, value)
    encoding = generator.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16"))
    return text.encode(encoding, "surrogatepass")


def _with(generator: random.Random, contents: Any, mark: str) -> Any:
    places = [place for place in _places(contents) if place[1] is not None]
    if not places or generator.random() < 0.03:
        return mark
    holder, key = generator.choice(places)
    change = generator.random()
    if change < 0.7:
        holder[key] = mark
    elif change < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[generator.choice(("more", "", "x" * 5000, "\ud800"))] = mark
    else:
        holder.append(mark)
    return contents


def _places(contents: Any, holder: Any = None, key: Any = None) -> list[tuple[Any, Any]]:
    found = [(holder, key)]
    items = (
        contents.items()
        if isinstance(contents, dict)
        else enumerate(contents)
        if isinstance(contents, list)
        else ()
    )
    for inner, value in items:
        found += _places(value, contents, inner)
    return found
