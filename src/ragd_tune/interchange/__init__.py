"""Adapters between formats, with NumPy alone: what one backend trained, another loads.

:class:`ragd_tune.interchange.lora.Lora` is what all formats are read into and written from. PEFT's
format is the one that the store keeps.
"""
