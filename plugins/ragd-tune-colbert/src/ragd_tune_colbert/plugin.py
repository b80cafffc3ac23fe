"""Placeholder plugin: offers nothing yet.

This module will hold the hooks of the kind ``colbert``:
rerankers that compare token vectors by MaxSim.
Until then it registers without a hook, so that the name is taken and nothing is promised.
"""
