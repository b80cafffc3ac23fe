"""Causal language models: trained on completions, served, merged and exported.

Everything about tokens is the core's (``ragd_tune.objectives.completion``); transformers gives the
model, PEFT the low-rank matrices, bitsandbytes the four bits.
"""
