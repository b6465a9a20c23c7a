"""Compiles parts of a network where that works and changes nothing but the speed."""

import time
from collections.abc import Callable

from torch import nn


def compile_parts(parts: list[nn.Module], trial: Callable[[], float]) -> str:
    """
    Compiles `parts` if a step then works and gives the same loss. `trial` makes a step that changes
    nothing and gives its loss. Copies of the parts are not compiled. Says what became of it.
    """
    begun, plain = time.monotonic(), trial()
    for part in parts:
        part.compile(dynamic=False)
    try:
        difference = abs(trial() / plain - 1)
    except Exception as error:
        plain_again(parts)
        return f'not compiled: {type(error).__name__}: {error}'.splitlines()[0]
    if difference < 0.01:
        return f'compiled in {time.monotonic() - begun:.0f} s'
    plain_again(parts)
    return f'not compiled: losses differ by {difference:.4f}'


def plain_again(parts: list[nn.Module]) -> None:
    """What was compiled for one number of rows is not compiled once more for another."""
    for part in parts:
        part._compiled_call_impl = None
