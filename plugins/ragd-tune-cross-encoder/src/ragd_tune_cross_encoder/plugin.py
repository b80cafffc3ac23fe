"""Placeholder plugin: offers nothing yet.

This module will hold the hooks of the kind ``cross-encoder``:
rerankers that read a query and a passage together.
Until then it registers without a hook, so that the name is taken and nothing is promised.
"""
