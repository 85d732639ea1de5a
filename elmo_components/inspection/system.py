"""Describes the machine and the libraries: what computes an ELMo here, and why."""

import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from elmo_components import kernels
from elmo_components.kernels import BACKENDS, START, LayerState, LstmCall
from elmo_components.kernels.call import DirectionWeights
from elmo_components.version import __version__

__all__ = ["processor_name", "system_report"]

# What extras install, and the AllenNLP that the components need.
OPTIONAL = (
    *("allennlp", "allennlp-models", "spacy", "h5py", "pyarrow", "matplotlib"),
    *("adjustText", "scikit-learn", "sacrebleu", "cached-path", "huggingface-hub", "gradio", "ray"),
)


def system_report() -> str:
    """
    Returns versions, processor, backends and the choice between them, one fact per line.

    # Raises

    `ValueError` if `ELMO_BACKEND` names no backend.
    """
    with kernels.use_backend(START):
        choice = [*_choices(), f"inference on cpu: {kernels.describe_backend()}"]
    return "\n".join(
        [
            f"elmo_components: {__version__}, in {Path(__file__).parent.parent}",
            f"python: {platform.python_version()}, {sys.executable}",
            f"torch: {torch.__version__}, {torch.get_num_threads()} threads",
            f"processor: {processor_name()}, {_instructions()}",
            f"gpu: {_gpus()}",
            f"optional packages: {_optional_packages()}",
            *choice,
        ]
    )


def processor_name() -> str:
    """Returns the processor's name, or its architecture where the system does not tell the name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _instructions() -> str:
    # torch 1.12 does not tell
    capability = getattr(torch.backends, "cpu", None)
    return str(capability.get_cpu_capability()) if capability else platform.machine()


def _gpus() -> str:
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ", ".join(names) or "none that torch can use"


def _optional_packages() -> str:
    found = []
    for name in OPTIONAL:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _choices() -> list[str]:
    devices = ["cpu", *(["cuda"] if torch.cuda.device_count() else [])]
    lines = []
    for device in devices:
        call = _call(torch.device(device))
        reasons = {name: backend.unsupported(call) for name, backend in BACKENDS.items()}
        usable = [name for name, reason in reasons.items() if reason is None]
        lines.append(f"backends for tensors on {device}, fastest first:")
        for name, reason in reasons.items():
            lines.append(f"  {name:9}  {'can compute' if reason is None else f'cannot: {reason}'}")
        if START == "auto":
            lines.append(f"  auto chooses {usable[0]}, the first that can compute")
        else:
            lines.append(f"  ELMO_BACKEND chooses {START}; auto would choose {usable[0]}")
    return lines


def _call(device: torch.device) -> LstmCall:
    """Returns the smallest call: one sentence of one token."""
    # (directions, batch, size), and weights of one direction
    zeros = torch.zeros(1, 1, 1, device=device)
    gates = torch.zeros(4, 1, device=device)
    weights = DirectionWeights(gates, gates, gates[:, 0], gates[:1])
    # (directions, batch, time, input_size), (batch,)
    inputs, lengths = zeros.unsqueeze(0), torch.ones(1, dtype=torch.int64, device=device)
    return LstmCall(inputs, lengths, [weights], LayerState(zeros, zeros))
