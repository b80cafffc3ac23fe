"""RAGatouille as a serving engine: in a process and an environment of its own.

It needs older libraries than we do, and a call of it can hang for ever. So an interpreter that the
user names runs ``driver.py``, which is asked line by line; what takes too long is killed.
"""

from ragd_tune.serve.ragatouille.engine import Ragatouille

__all__ = ["Ragatouille"]
