"""Random shares of labelled files, for learning curves."""

import random

__all__ = ["sample_blocks", "sample_lines"]


def sample_blocks(text: str, share: float, seed: int) -> str:
    """Returns a random share of a file's sentences, in their order; blank lines part them."""
    sentences: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            sentences[-1].append(line)
        elif sentences[-1]:
            sentences.append([])
    chosen = _sample([sentence for sentence in sentences if sentence], share, seed)
    return "".join("\n".join(sentence) + "\n\n" for sentence in chosen)


def sample_lines(text: str, share: float, seed: int) -> str:
    """Returns a random share of a file's lines, in their order."""
    return "".join(
        line + "\n" for line in _sample(text.split("\n")[: text.count("\n")], share, seed)
    )


def _sample(items: list, share: float, seed: int) -> list:
    number = max(1, round(share * len(items)))
    places = sorted(random.Random(seed).sample(range(len(items)), number))
    return [items[place] for place in places]
