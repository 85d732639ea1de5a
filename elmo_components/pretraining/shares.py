"""Shares of a batch with nearly equal numbers of tokens."""

import heapq
from collections.abc import Sequence

__all__ = ["balanced_shares"]


def balanced_shares(sizes: Sequence[int], number: int) -> list[list[int]]:
    """
    Returns the indices of the items in each share; each item is in one share. The sums of two
    shares' sizes differ by at most the largest size.

    >>> balanced_shares([3, 9, 4, 4], 2)
    [[0, 1], [2, 3]]

    # Parameters

    sizes : `Sequence[int]`
        The sizes of the items.
    number : `int`
        The number of shares. With fewer items than shares, some shares are empty.
    """
    # the longest first, each to the smallest share
    sums = [(0, share) for share in range(number)]
    shares: list[list[int]] = [[] for _ in range(number)]
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        total, share = sums[0]
        heapq.heapreplace(sums, (total + sizes[index], share))
        shares[share].append(index)
    return [sorted(share) for share in shares]
