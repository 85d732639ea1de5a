"""Tags that encode spans: BIO, IOB1, BIOUL and BMES."""

from collections.abc import Collection, Sequence

__all__ = ["ENCODINGS", "Span", "are_spans", "encode", "is_tag", "spans_of"]

# By AllenNLP's names of the encodings, the letters of tags beside "O": of a span's first token, of
# those in its middle, of its last, and of the only one of a span.
ENCODINGS = {"BIO": "BIIB", "IOB1": "IIII", "BIOUL": "BILU", "BMES": "BMES"}
FIRST, MIDDLE, LAST, ONLY = range(4)

# A label, and the first and the last token.
Span = tuple[str, tuple[int, int]]


def is_tag(tag: str, encoding: str) -> bool:
    """Returns whether a tag is of an encoding, or for "any" of one of them: "O" or "B-person"."""
    letters = "".join(ENCODINGS.values()) if encoding == "any" else ENCODINGS[encoding]
    letter = tag.partition("-")[0]
    return len(letter) == 1 and letter in f"{letters}BO"


def are_spans(tags: Collection[str]) -> bool:
    """Returns whether all of a model's tags are those of spans, in any of the encodings."""
    return bool(tags) and all(is_tag(tag, "any") for tag in tags)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """
    Returns the spans of tags in any of the encodings, in their order.

    As the CoNLL evaluation has it, no sequence is ill-formed: a span begins with B, U or S, with
    another label than that before, and after "O" and the end of a span (L, U, E or S).
    """
    spans: list[Span] = []
    last_label, ended = "", True
    for place, tag in enumerate(tags):
        letter, _, label = tag.partition("-")
        if letter == "O":
            ended = True
            continue
        if ended or letter in "BUS" or label != last_label:
            spans.append((label, (place, place)))
        else:
            spans[-1] = (label, (spans[-1][1][0], place))
        last_label, ended = label, letter in "LUES"
    return spans


def encode(tags: Sequence[str], encoding: str) -> list[str]:
    """Returns the spans of tags in any of the encodings as tags of another."""
    letters = ENCODINGS[encoding]
    encoded = ["O"] * len(tags)
    last_label, last_end = "", -2
    for label, (start, end) in spans_of(tags):
        suffix = f"-{label}" if label else ""
        for place in range(start, end + 1):
            encoded[place] = f"{letters[MIDDLE]}{suffix}"
        encoded[end] = f"{letters[LAST]}{suffix}"
        encoded[start] = f"{letters[ONLY if start == end else FIRST]}{suffix}"
        if encoding == "IOB1" and last_end == start - 1 and last_label == label:
            encoded[start] = f"B{suffix}"
        last_label, last_end = label, end
    return encoded
