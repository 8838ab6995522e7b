"""What a figure must say of the machine that gave it, and how fast to compute there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def use_bfloat16(device: str) -> bool:
    """Whether bfloat16 is faster than float32 on `cpu` or `cuda`; old processors only emulate it."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older releases cannot tell
    return device == "cpu" and bool(capabilities.get("avx512_bf16"))


def describe(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, threads and versions."""
    return {
        "device": "gpu" if device == "cuda" else device,
        "processor": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": "bf16" if use_bfloat16(device) else "fp32",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("htr", "torch", "timm", "lightning", "albumentations")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for row in info.read_text().splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.CalledProcessError):
            return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return platform.processor() or platform.machine()
