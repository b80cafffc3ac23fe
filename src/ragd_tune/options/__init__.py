"""Options, declared once: flags, checks, documentation and plans read them from here."""

from ragd_tune.options.causal_lm import CAUSAL_LM
from ragd_tune.options.contrastive import CONTRASTIVE
from ragd_tune.options.late_interaction import LATE_INTERACTION
from ragd_tune.options.option import Group, Option, OptionType, Value, with_defaults
from ragd_tune.options.relevance import RELEVANCE
from ragd_tune.options.run import CHOICES, RUN
from ragd_tune.options.similarity import SIMILARITY
from ragd_tune.options.tunings import LORA, of_side, options_of_tuning

__all__ = [
    "CAUSAL_LM",
    "CHOICES",
    "CONTRASTIVE",
    "LATE_INTERACTION",
    "LORA",
    "RELEVANCE",
    "RUN",
    "SIMILARITY",
    "Group",
    "Option",
    "OptionType",
    "Value",
    "of_side",
    "options_of_tuning",
    "with_defaults",
]
