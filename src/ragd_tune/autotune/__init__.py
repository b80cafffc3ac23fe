"""A small search over the options of a training: what is tried, and what was found.

``space``
    Which options are searched, and between which values: a table.
``attempts``
    One trial's options and score.
``study``
    Optuna behind four methods: what to try next, and what was tried, kept in a journal.
``told``
    The best of the trials, beside the defaults, and as a configuration.

Nothing here trains: :mod:`ragd_tune.pipeline.autotuning` does.
"""
