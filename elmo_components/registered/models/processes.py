"""What a model needs to train in several processes as in one."""

from collections.abc import Sequence

import torch
from allennlp.common.util import is_distributed
from allennlp.nn.util import dist_reduce_sum, distributed_device

__all__ = ["exclude_from_ddp", "per_process"]


def per_process(count: torch.Tensor) -> torch.Tensor:
    """Returns the mean of a count over processes, at least 1 over their number."""
    processes = torch.distributed.get_world_size() if is_distributed() else 1
    return dist_reduce_sum(count).clamp(min=1).to(count.device) / processes


def exclude_from_ddp(model: torch.nn.Module, parameters: Sequence[str]) -> None:
    """
    Makes `DistributedDataParallel` ignore a model's buffers and some parameters, which then have
    the first process's values.

    # Parameters

    model : `torch.nn.Module`
        A model whose buffers are constants; `DistributedDataParallel` would send them with each
        batch.
    parameters : `Sequence[str]`
        The names of the parameters whose gradients the model itself averages over the processes.
    """
    if is_distributed():
        for name in parameters:
            values = model.get_parameter(name).data
            # NCCL only sends what is on the GPU
            shared = values.to(distributed_device())
            torch.distributed.broadcast(shared, 0)
            values.copy_(shared)
    buffers = [name for name, _ in model.named_buffers()]
    # DistributedDataParallel reads this attribute
    model._ddp_params_and_buffers_to_ignore = [*buffers, *parameters]  # type: ignore[assignment]
