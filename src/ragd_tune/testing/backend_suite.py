"""The suite that every backend passes, ours and those of others."""

from __future__ import annotations

from ragd_tune.testing.declaring import Declares
from ragd_tune.testing.serving import Serves
from ragd_tune.testing.stopping import Stops
from ragd_tune.testing.training import Trains


class BackendSuite(Declares, Trains, Stops, Serves):
    """Tests that every backend passes; subclass it in a test file and override what differs.

    ::

        class TestToy(BackendSuite):
            backend = "toy"

            def base(self, folder: Path) -> Path:
                return make_a_tiny_base(folder)

    Every train cell that the backend declares, and that can run on this machine, goes through all
    tests; the others skip with the reason. Objectives that the suite has no checks for fail until
    they stand in ``uncovered``, and are then reported as not covered. Everything goes through the
    hooks, as the core calls them.

    ``backend``
        The name that it declares.
    ``base(folder)``
        Makes a tiny base model. Without dropout, else set ``loss_tolerance`` to None.
    ``base_of(objective, folder)``
        The same for one objective, where one base does not do for all: a language model.
    ``rows(objective)``
        Rows to train on; those of :mod:`ragd_tune.testing.objectives` by default.
    ``options(cell)``
        Options that differ from the suite's, as a learning rate at which the tiny base learns.
    ``minimum()``
        The cells that it has to declare, and why.
    ``ignores``
        Options that it does not read: each is checked to be without effect, and reported.
    ``steps``
        Steps of a run: 6, at least 4.
    ``tolerance``
        Largest difference of two vectors, or two scores, that have to be equal: 1e-5.
    ``loss_tolerance``
        Largest difference between a reported loss and that of the loaded model: 1e-3.
    ``may_be_absent``
        True where this machine need not be able to run it; it fails otherwise.
    ``registry_from``
        ``module:function`` that makes the registry: all installed plugins by default.
    """
