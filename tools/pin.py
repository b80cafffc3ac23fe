"""Renew constraints/: resolve each tox environment anew and write down what came out.

Usage: python tools/pin.py [ENVIRONMENT ...]. Run it on Linux with Python 3.11 and tox installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints"

# What each file builds on. A pin that the base has is not written twice.
BASES = {
    "demo": "torch",
    "py": "torch",
    "types": "torch",
    "docs": "torch",
    "lint": "torch",
    "imports": "torch",
    "mlx": "py",
    "ragas": "torch",
    "ragatouille": "torch",
    "ray": "py",
    "unsloth": "torch",
    "wheels": "demo",
    "proof": "py",
    "host": "py",
    "release": "lint",
}
# Environments that install nothing that their base does not.
NOTHING_NEW = {"host", "proof", "release"}
# Installed by virtualenv, or written in torch.txt.
LEFT_OUT = {"pip", "torch"}


def freeze(env: str) -> list[str]:
    """Return the pins of ``env`` made anew, held to nothing but its base."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "tox", "-qq", "-r", "-e", env),
            *("-x", f"testenv:{env}.commands=python -m pip freeze --all"),
        ],
        cwd=ROOT,
        env=os.environ | {"PIN_ON": str(CONSTRAINTS / f"{BASES[env]}.txt")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [line for line in run.stdout.splitlines() if is_pin(line)]


def is_pin(line: str) -> bool:
    """Tell a third party's pin from our own distributions and from other output."""
    name, found, _ = line.partition("==")
    return bool(found) and name.lower() not in LEFT_OUT and " " not in name


def known(base: str) -> set[str]:
    """Return the lines of ``base`` and of what it builds on."""
    lines = set((CONSTRAINTS / f"{base}.txt").read_text(encoding="utf-8").splitlines())
    return lines | (known(BASES[base]) if base in BASES else set())


def pin(env: str) -> None:
    """Write ``constraints/<env>.txt``."""
    base = BASES[env]
    found = set() if env in NOTHING_NEW else set(freeze(env))
    pins = sorted(found - known(base), key=str.lower)
    head = ["# Written by tools/pin.py.", f"-c {base}.txt"]
    text = "\n".join([*head, *pins]) + "\n"
    (CONSTRAINTS / f"{env}.txt").write_text(text, encoding="utf-8")
    print(f"{env}: {len(pins)} pins on {base}")


def main() -> None:
    """Renew the named environments, or all."""
    for env in sys.argv[1:] or BASES:
        pin(env)


if __name__ == "__main__":
    main()
