"""Errors of the training's own."""

from __future__ import annotations


class WrongOptions(ValueError):
    """Options of the command line or the configuration file are wrong, or do not go with what is on the
    disk; the message lists them all."""
