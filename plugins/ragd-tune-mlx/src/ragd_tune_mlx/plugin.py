"""Placeholder plugin: offers nothing yet.

This module will hold the hooks of the MLX backend: training and serving on Apple silicon.
Until then it registers without a hook, so that the name is taken and nothing is promised.
"""
