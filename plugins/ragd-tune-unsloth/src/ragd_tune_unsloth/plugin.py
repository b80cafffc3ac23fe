"""Placeholder plugin: offers nothing yet.

This module will hold the hooks of the Unsloth backend: training on NVIDIA GPUs.
Until then it registers without a hook, so that the name is taken and nothing is promised.
"""
