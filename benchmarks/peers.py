"""Installs what urlmon is measured beside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(folder: Path, *requirements: str) -> Path:
    """Install packages into an environment of their own and return its folder of programs."""
    uv = shutil.which("uv") or os.environ.get("UV") or str(ROOT / ".tools" / "bin" / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(folder)]
    subprocess.run([*install, *requirements], check=True)
    return folder / "bin"
