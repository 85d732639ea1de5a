"""What the processes of a distributed training exchange for a sampled softmax: rows, not matrices.

A step changes only the vectors of the sampled words and of the targets. All processes draw the
same sample and learn each other's targets, so that they look up the same rows in the same order.
Then only these rows' gradients are summed over the processes: (sample + targets) rows, instead of
one row for each word of the vocabulary.

With one process, and without `torch.distributed`, nothing is exchanged.
"""

from typing import Any, Optional

import torch
from torch import distributed

__all__ = ["all_words", "average_gradients", "num_processes", "shared_generator"]


def num_processes() -> int:
    """Returns the number of processes that train together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def shared_generator(device: torch.device, seed: Optional[torch.Tensor] = None) -> torch.Generator:
    """
    Returns a new generator in the same state in all processes.

    # Parameters

    device : `torch.device`
        The generator's device.
    seed : `Optional[torch.Tensor]`
        int64, (); the first process's counts. `None` for one that each process draws from its
        default generator.
    """
    # ()
    seed = torch.randint(1 << 62, (), device=device) if seed is None else seed.to(device).clone()
    if num_processes() > 1:
        distributed.broadcast(seed, 0)
    return torch.Generator(device).manual_seed(int(seed))


def all_words(words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Returns the different words of all processes, (words of all,), sorted and therefore the same in
    each process; and the index among them of each of this process's words, (words,).

    # Parameters

    words : `torch.Tensor`
        int64, (words,), the numbers of words, with repetitions; none is possible.
    """
    own = words.unique()
    # (), each
    counts = [own.new_zeros(()) for _ in range(num_processes())]
    distributed.all_gather(counts, own.new_tensor(len(own)))
    size = int(torch.stack(counts).max())
    # (size,): the first word stands for the missing ones
    padded = own.new_zeros(size)
    padded[: len(own)] = own
    gathered = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(gathered, padded)
    different = torch.cat([each[:count] for each, count in zip(gathered, counts)]).unique()
    return different, torch.searchsorted(different, words)


def average_gradients(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """
    Returns the tensors. Their gradients are averaged over the processes, as
    `DistributedDataParallel` averages those of parameters. All processes must give tensors of the
    same shapes, and must compute the gradients.
    """
    return _AverageGradients.apply(*tensors)


class _AverageGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # one message is faster than several
        block = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(block)
        block /= num_processes()
        pieces = block.split([gradient.numel() for gradient in gradients])
        return tuple(piece.view_as(gradient) for piece, gradient in zip(pieces, gradients))
