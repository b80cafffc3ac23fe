"""A proof as a page to read and to hand on: one HTML file, or JSON."""

from __future__ import annotations

from ragd_tune.report.files import ENDINGS, check, write
from ragd_tune.report.page import page
from ragd_tune.report.story import Run, Story

__all__ = ["ENDINGS", "Run", "Story", "check", "page", "write"]
