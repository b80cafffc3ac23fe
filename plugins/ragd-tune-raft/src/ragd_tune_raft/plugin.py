"""Placeholder plugin: offers nothing yet.

This module will hold the hooks of the kind ``raft``:
language models that answer from retrieved passages.
Until then it registers without a hook, so that the name is taken and nothing is promised.
"""
