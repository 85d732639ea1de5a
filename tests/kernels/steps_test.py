"""Tests of kernels/steps.py."""

import torch

from elmo_components.kernels.steps import Steps

LENGTHS, TIME = [2, 0, 3], 4


def test_rows_are_the_steps_of_the_longest_sentences_first() -> None:
    steps = Steps.of(torch.tensor(LENGTHS), TIME)
    # a row's value says its sentence and step
    padded = torch.tensor(
        [[[10.0 * sentence + step] for step in range(TIME)] for sentence in range(3)]
    )
    packed = steps.pack(padded.unsqueeze(0))
    assert packed.flatten().tolist() == [20.0, 0.0, 21.0, 1.0, 22.0]
    assert steps.counts == [2, 2, 1]
    assert steps.pad(packed, 3).flatten().tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 20, 21, 22, 0]


def test_predecessors_and_last_rows_are_those_of_the_same_sentence() -> None:
    steps = Steps.of(torch.tensor(LENGTHS), TIME)
    start = steps.sort(torch.tensor([[[-1.0], [-2.0], [-3.0]]]))
    assert start.flatten().tolist() == [-3.0, -1.0, -2.0]
    packed = torch.tensor([[[20.0], [0.0], [21.0], [1.0], [22.0]]])
    assert steps.previous_rows(start, packed).flatten().tolist() == [-3, -1, 20, 0, 21]
    assert steps.unsort(steps.last(start, packed)).flatten().tolist() == [1.0, -2.0, 22.0]


def test_blocks_hold_whole_steps() -> None:
    steps = Steps.of(torch.tensor(LENGTHS), TIME)
    blocks = [(block.counts, block.rows) for block in steps.blocks(3)]
    assert blocks == [([2], slice(0, 2)), ([2, 1], slice(2, 5))]
    # a step larger than a block is one of its own
    assert [block.counts for block in steps.blocks(1)] == [[2], [2], [1]]


def test_no_steps_are_no_blocks() -> None:
    steps = Steps.of(torch.tensor([0, 0]), 0)
    assert list(steps.blocks(8)) == [] and steps.num_rows == 0
