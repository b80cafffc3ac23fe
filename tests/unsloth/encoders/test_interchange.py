"""What claims PEFT's format is held to it: adapters that others could have made."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.testing import InterchangeSuite
from ragd_tune.testing.tiny import tiny_encoder


class TestEncodersUnderTheSpoof(InterchangeSuite):
    backend = "unsloth"

    def base(self, folder: Path) -> Path:
        return tiny_encoder(folder)
