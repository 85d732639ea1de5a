"""Tests of pretraining/shares.py."""

import torch

from elmo_components.pretraining.shares import balanced_shares


def test_shares_have_every_item_once_and_nearly_equal_sizes() -> None:
    generator = torch.Generator().manual_seed(0)
    for number in (1, 2, 5, 8):
        for items in (0, 1, 7, 40):
            sizes = torch.randint(1, 60, (items,), generator=generator).tolist()
            shares = balanced_shares(sizes, number)
            assert sorted(index for share in shares for index in share) == list(range(items))
            sums = [sum(sizes[index] for index in share) for share in shares]
            assert max(sums) - min(sums) <= max(sizes, default=0)


def test_equal_sizes_give_the_same_shares_in_every_process() -> None:
    assert balanced_shares([2, 2, 2, 2, 2], 2) == [[0, 2, 4], [1, 3]]
    assert balanced_shares([4, 4], 3) == [[0], [1], []]
