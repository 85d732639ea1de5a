"""Whether the token indexer spelled words as the embedder's architecture does."""

from functools import lru_cache

import torch
from allennlp.common.checks import ConfigurationError

from elmo_components.alphabet import BYTES, CODE_POINTS, MAX_CHARACTERS, NUM_CHARACTERS
from elmo_components.config import CharCnnConfig

__all__ = ["check_spelling"]

# Ids from 2 to 256 are bytes; by code points there are none, and 1 is an unknown character.
FIRST_BYTE, LAST_BYTE = 2, 256
END_WORD = 260
# Greater than all ids of bytes.
BASE = 512


def check_spelling(ids: torch.Tensor, config: CharCnnConfig) -> bool:
    """
    Returns whether ids show that the indexer has the architecture's alphabet. Returns true for the
    published scheme, which has no alphabet.

    # Parameters

    ids : `torch.Tensor`
        int64, (..., time, 50), or 52 with a word table.

    # Raises

    `ConfigurationError` for ids that only an indexer with other settings makes: bytes where the
    architecture has code points, or the bytes of a character that its alphabet has.
    """
    if not config.alphabet and config.units == BYTES:
        return True
    characters = ids[..., :MAX_CHARACTERS]
    if bool((characters >= NUM_CHARACTERS).any()):
        return True
    if config.units == CODE_POINTS:
        wrong = bool(((characters >= FIRST_BYTE) & (characters <= LAST_BYTE)).any())
    else:
        wrong = _has_spelled_out(characters, config.alphabet)
    if wrong:
        settings = "units, alphabet and words" if config.units == CODE_POINTS else "alphabet"
        raise ConfigurationError(
            'The token indexer "elmo_character_ids" does not spell words as the architecture does. '
            f"Give it the {settings} of the architecture's char_cnn"
        )
    return False


def _has_spelled_out(characters: torch.Tensor, alphabet: str) -> bool:
    """Returns whether ids have the bytes of a character that has an id of its own."""
    for length, codes in _byte_codes(alphabet).items():
        if length == 1:
            # an added token, too, may be one id
            characters = characters[characters[..., 2] != END_WORD]
        # (..., 50 - length + 1)
        windows = sum(
            characters[..., place : MAX_CHARACTERS - length + 1 + place] * BASE**place
            for place in range(length)
        )
        if bool(torch.isin(windows, codes.to(characters.device)).any()):
            return True
    return False


@lru_cache(maxsize=4)
def _byte_codes(alphabet: str) -> dict[int, torch.Tensor]:
    """Returns a number for each character's ids of bytes, by how many these are."""
    codes: dict[int, list[int]] = {}
    for character in alphabet:
        spelled = character.encode("utf-8")
        code = sum((byte + 1) * BASE**place for place, byte in enumerate(spelled))
        codes.setdefault(len(spelled), []).append(code)
    # the longest first
    return {length: torch.tensor(codes[length]) for length in sorted(codes, reverse=True)}
