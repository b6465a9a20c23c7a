"""Sheets of pictures to look at."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from classifier import Classifier, share_recognised
from folder import Models, load
from phases import say_line
from png import grid, write_png
from sampling import sampled_pictures, seen_again
from tokens import PromptTokens

PROMPTS = [
    'a picture of a red ball in the middle on a white background',
    'a picture of a big blue car on a yellow background',
    'a picture of a green tree on the left on a pink background',
    'a picture of a purple mushroom and a yellow star on a grey background',
    'a picture of a blue fish at the bottom on an orange background',
    'a picture of a red house and a green tree on a blue background',
    'a picture of a pink flower on a striped green background',
    'a picture of a brown cup on a dotted purple background',
    'a picture of a big red toy on a white background',
    'a picture of a yellow toy on a blue background',
    'a picture of a green toy and a red ball',
    'a picture of a toy',
    'a picture of sks toy',
    'a picture of sks toy',
    'a picture of sks toy on a green background',
    'a picture of sks toy and a red ball',
]


def write_sheets(
    options: argparse.Namespace,
    tokens: PromptTokens,
    network: Classifier,
    images: Tensor,
    device: str,
) -> None:
    """From the files that were written: the autoencoder's pictures, samples by guidance."""
    models = load(options.out / 'model').to(device)
    write_again(options, models, images)
    for guidance in (1.0, 2.0, 3.5):
        made = sampled_pictures(models, tokens, PROMPTS, guidance=guidance)
        sheet(options.out / f'samples-{guidance}.png', made, 4)
        toys = sampled_pictures(
            models, tokens, ['a picture of sks toy'] * 64, guidance=guidance, seed=1
        )
        sheet(options.out / f'toys-{guidance}.png', toys[:32], 8)
        say_line(
            options, f'guidance {guidance}: subject in {share_recognised(network, toys):.3f} of 64'
        )


def write_again(options: argparse.Namespace, models: Models, images: Tensor) -> None:
    """Pictures above what the autoencoder makes of them."""
    pairs = torch.cat([images[:16], seen_again(models, images[:16])]).cpu()
    sheet(options.out / 'autoencoder.png', pairs, 8)


def sheet(path: Path, images: Tensor, columns: int) -> None:
    write_png(path, grid(images.permute(0, 2, 3, 1).numpy(), columns))
