"""The clock of pretraining: phases that end at a share of the time, rates, lines of progress."""

import argparse
import math
import time

# Where each phase ends, as a share of the whole time; the rest is for sheets.
ENDS = {'autoencoder': 0.29, 'flow': 0.72, 'guidance': 0.88, 'classifier': 0.95}
# Where an earlier run has made the autoencoder.
LATER_ENDS = {'flow': 0.72, 'guidance': 0.89, 'classifier': 0.96}
# Where there is a model to go on with.
LAST_ENDS = {'flow': 0.82, 'guidance': 0.96}
ALONE = 0.95


def end_of(options: argparse.Namespace, name: str) -> float:
    if options.only == name:
        return ALONE
    if options.model is not None:
        return LAST_ENDS[name]
    return (ENDS if options.autoencoder is None else LATER_ENDS)[name]


class Phase:
    """Steps of one phase: how far it is, what it says."""

    def __init__(self, options: argparse.Namespace, name: str):
        self.options, self.name, self.step = options, name, 0
        self.begun, self.shown = time.monotonic(), -math.inf
        self.end = options.started + 60 * options.minutes * end_of(options, name)

    def share(self) -> float:
        """From 0 to 1; the phase is over at 1."""
        if self.options.steps is not None:
            return min(1.0, self.step / self.options.steps)
        return min(1.0, (time.monotonic() - self.begun) / max(1e-3, self.end - self.begun))

    def rate(self, peak: float) -> float:
        """Linear warm-up, then a cosine to zero."""
        share = self.share()
        return (
            peak
            * min(1.0, (self.step + 1) / 200, share / 0.02 + 0.05)
            * 0.5
            * (1 + math.cos(math.pi * share))
        )

    def done(self, say) -> None:
        """A step was made; `say` is called when a line is due."""
        self.step += 1
        now = time.monotonic()
        if now - self.shown >= self.options.show:
            self.shown = now
            say_line(self.options, f'{self.name}, step {self.step}: {say()}')


def say_line(options: argparse.Namespace, text: str) -> None:
    print(f'{time.monotonic() - options.started:.0f} s, {text}', flush=True)
