"""What the machine is called, for the tables."""

import platform
from pathlib import Path


def processor_name() -> str:
    """Returns the model's name where Linux tells it, and the architecture elsewhere."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
