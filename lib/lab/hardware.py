"""The name of this machine's hardware, from Linux. Results hold only for the hardware that they were measured on."""

import os
import re
from pathlib import Path

from lab.one_line import clean

GPUS = Path("/proc/driver/nvidia/gpus")
PROCESSOR = Path("/proc/cpuinfo")


def name(device: str | None) -> str:
    """The model of the GPU, or the model of the processor if the device is `cpu` or there is no GPU."""
    if device != "cpu":
        for path in sorted(GPUS.glob("*/information")):
            if model := re.search(r"^Model:\s*(.+)$", path.read_text(errors="replace"), re.MULTILINE):
                return clean(model[1], 80)
    model = re.search(r"^model name\s*:\s*(.+)$", PROCESSOR.read_text(errors="replace"), re.MULTILINE)
    processor = f"{clean(model[1], 80) if model else os.uname().machine}, {len(os.sched_getaffinity(0))} cores"
    return f"a GPU, {processor}" if device == "cuda" else processor  # WSL does not name the GPU
