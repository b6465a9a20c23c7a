"""
A small network that says whether a picture shows the subject.

    python3 examples/flux/classifier.py FOLDER...

prints for each folder how many of its PNG pictures it recognises. `pretrain.py` trains it.
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

FILE = Path(__file__).parent / 'classifier.safetensors'
WIDTHS = [3, 16, 24, 32, 48]


class Classifier(nn.Module):
    """Images (rows, 3, height, width) in [-1, 1] -> logits (rows,)."""

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip(WIDTHS[:-1], WIDTHS[1:]))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2, padding=2) for a, b in pairs)
        self.norms = nn.ModuleList(nn.GroupNorm(8, b) for _, b in pairs)
        self.mix = nn.Conv2d(WIDTHS[-1], 48, 3, padding=1)
        self.head = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        return self.head(F.relu(self.mix(x)).amax((2, 3)))[:, 0]


def save_classifier(network: Classifier, path: Path) -> None:
    state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(state, path)


def load_classifier(path: Path = FILE) -> Classifier:
    network = Classifier()
    network.load_state_dict(load_file(path))
    return network.eval()


@torch.no_grad()
def share_recognised(network: Classifier, images: Tensor) -> float:
    """images (count, 3, height, width) bytes."""
    device = next(network.parameters()).device
    return (network(to_inputs(images.to(device))) > 0).float().mean().item()


def main(folders: list[str]) -> None:
    network = load_classifier()
    for folder in folders:
        files = sorted(Path(folder).glob('*.png'))
        if not files:
            raise SystemExit(f'{folder}: no PNG files')
        pictures = np.stack([read_png(file) for file in files])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        share = share_recognised(network, images)
        print(f'{folder}: {share:.3f} of {len(files)} pictures show the subject')


if __name__ == '__main__':
    main(sys.argv[1:])
