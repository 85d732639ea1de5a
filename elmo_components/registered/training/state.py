"""The state of metrics and random generators, in plain values and tensors."""

import random
from typing import Any

import numpy
import torch
from allennlp.data import Vocabulary
from allennlp.training.metrics import Metric

__all__ = ["metric_states", "random_states", "set_metric_states", "set_random_states"]

PLAIN = (bool, int, float, str, type(None))


def metric_states(model: torch.nn.Module) -> dict[str, Any]:
    """Returns the state of each metric of a model's modules, by name."""
    return {name: _state_of(metric) for name, metric in _metrics(model).items()}


def set_metric_states(model: torch.nn.Module, states: dict[str, Any]) -> None:
    """Restores what `metric_states` returned."""
    metrics = _metrics(model)
    for name, state in states.items():
        _set_state(metrics[name], state)


def random_states(device: torch.device) -> dict[str, Any]:
    """Returns the states of the generators of Python, numpy, and torch on the CPU and `device`."""
    kind, key, *rest = numpy.random.get_state()
    assert isinstance(key, numpy.ndarray)
    states = {
        "python": random.getstate(),
        "numpy": (kind, key.tolist(), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: dict[str, Any]) -> None:
    """Restores what `random_states` returned."""
    random.setstate(states["python"])
    numpy.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        # the trainer's device is the current one
        torch.cuda.set_rng_state(states["cuda"])


def _metrics(model: torch.nn.Module) -> dict[str, Any]:
    """Returns the metrics among the attributes of a model's modules, and nested ones, by name."""
    found: dict[str, Any] = {}

    def search(name: str, value: Any, in_metric: bool) -> None:
        if isinstance(value, (list, tuple)):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            for key, item in value.items():
                search(f"{name}.{key}", item, in_metric)
        elif isinstance(value, Metric) or (in_metric and _is_record(value)):
            if any(value is other for other in found.values()):
                return
            found[name] = value
            for key, item in vars(value).items():
                search(f"{name}.{key}", item, True)

    for name, module in model.named_modules():
        for key, value in vars(module).items():
            # modules are searched by themselves
            if key != "_modules":
                search(f"{name}.{key}", value, False)
    return found


def _is_record(value: Any) -> bool:
    """Returns whether an object may store a metric's numbers, as a coreference scorer does."""
    others = (torch.Tensor, torch.nn.Module, Vocabulary, type)
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, others)


def _state_of(metric: Any) -> dict[str, Any]:
    """Returns a metric's attributes that are plain values, tensors, or containers of these."""
    found = {}
    for name, value in vars(metric).items():
        try:
            found[name] = _plain(value)
        except TypeError:
            # a metric's settings, such as a function
            continue
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, set)):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, (numpy.generic, numpy.ndarray)):
        return value.tolist()
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, PLAIN):
        return value
    raise TypeError


def _set_state(metric: Any, state: dict[str, Any]) -> None:
    values = vars(metric)
    for name, value in state.items():
        current = values.get(name)
        if isinstance(current, dict):
            # in place, as it may be a `defaultdict`
            current.clear()
            current.update(value)
        elif isinstance(current, numpy.ndarray):
            values[name] = numpy.array(value, dtype=current.dtype)
        elif isinstance(current, set):
            values[name] = set(value)
        else:
            values[name] = value
