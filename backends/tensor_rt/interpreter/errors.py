"""The one exception of this package."""

from __future__ import annotations


class InterpreterError(ValueError):
    """A network, or what it was given, does not follow TensorRT's rules; the message is one sentence.

    It names the layer, says what is wrong and what would be right.
    """
