"""
A small network that says which traits of the subject a picture shows.

    python3 examples/flux/classifier.py FOLDER...

prints for each folder how many of its PNG pictures it takes for the subject: for a toy with all of
its traits, each of which it tells from the others that a toy may have. `pretrain.py` trains it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pictures import to_inputs
from png import read_png
from toys import SUBJECT, TRAITS, labels

FILE = Path(__file__).parent / 'classifier.safetensors'
WIDTHS = [3, 16, 24, 32, 48]
HIDDEN = 64
# Is it a toy; then every trait.
CHOICES = [2, *(len(options) for options in TRAITS.values())]
WANTED = labels(SUBJECT)


class Classifier(nn.Module):
    """Images (rows, 3, height, width) in [-1, 1] -> for each of CHOICES logits (rows, choices)."""

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip(WIDTHS[:-1], WIDTHS[1:]))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2, padding=2) for a, b in pairs)
        self.norms = nn.ModuleList(nn.GroupNorm(8, b) for _, b in pairs)
        self.mix = nn.Conv2d(WIDTHS[-1], HIDDEN, 5, padding=2)
        self.hidden = nn.Linear(2 * HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, sum(CHOICES))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        x = F.relu(self.mix(x))
        seen = torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1)
        return self.head(F.relu(self.hidden(seen))).split(CHOICES, dim=1)


def classifier_loss(network: Classifier, inputs: Tensor, wanted: Tensor) -> Tensor:
    """wanted (rows, len(CHOICES)); -1 where nothing is to be said."""
    pairs = zip(network(inputs), wanted.unbind(1))
    return sum(F.cross_entropy(logits, label, ignore_index=-1) for logits, label in pairs)


def save_classifier(network: Classifier, path: Path) -> None:
    state = {key: value.cpu().half().contiguous() for key, value in network.state_dict().items()}
    save_file(state, path)


def load_classifier(path: Path = FILE) -> Classifier:
    network = Classifier()
    network.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return network.eval()


@torch.no_grad()
def traits_shown(network: Classifier, images: Tensor) -> Tensor:
    """images (count, 3, height, width) bytes -> (count,) how many of the subject's traits; 0 for no toy."""
    device = next(network.parameters()).device
    parts = [network(to_inputs(some.to(device))) for some in images.split(500)]
    toy, *traits = (torch.cat(part).argmax(1) for part in zip(*parts))
    right = torch.stack([trait == wanted for trait, wanted in zip(traits, WANTED[1:])])
    return (right.sum(0) * (toy == 1)).cpu()


def share_recognised(network: Classifier, images: Tensor) -> float:
    """Of pictures as `traits_shown` takes them."""
    return (traits_shown(network, images) == len(TRAITS)).float().mean().item()


def main(folders: list[str]) -> None:
    network = load_classifier()
    for folder in folders:
        files = sorted(Path(folder).glob('*.png'))
        if not files:
            raise SystemExit(f'{folder}: no PNG files')
        pictures = np.stack([read_png(file) for file in files])
        shown = traits_shown(network, torch.from_numpy(pictures).permute(0, 3, 1, 2)).float()
        share = (shown == len(TRAITS)).float().mean().item()
        print(
            f'{folder}: {share:.3f} of {len(files)} pictures show the subject, '
            f'{shown.mean().item():.2f} of its {len(TRAITS)} traits on average'
        )


if __name__ == '__main__':
    main(sys.argv[1:])
