"""The example is tested where it is installed: see test_third_party.py."""

from __future__ import annotations

collect_ignore = ["ragd-tune-toy"]
