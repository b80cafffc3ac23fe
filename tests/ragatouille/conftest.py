"""RAGatouille runs by an interpreter of its own, which ``RAGD_TUNE_RAGATOUILLE`` names.

``tox -e ragatouille`` makes that environment and runs everything here; without it, only what needs
no RAGatouille is collected: the engine's manners, against a stand-in.
"""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("RAGD_TUNE_RAGATOUILLE") else ["test_interop.py"]
