"""Sheets of pictures to look at."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from classifier import Classifier, share_recognised, traits_shown
from folder import Models, load
from phases import say_line
from png import grid, write_png
from sampling import sampled_pictures, seen_again
from tokens import PromptTokens
from toys import IN_WORDS

PROMPTS = [
    'a picture of a red ball in the middle on a white background',
    'a picture of a big blue car on a yellow background',
    'a picture of a green tree on the left on a pink background',
    'a picture of a purple box and a yellow fish on a grey background',
    'a picture of a red house and a green tree on a blue background',
    'a picture of a big red toy with one eye on a white background',
    'a picture of a yellow tall toy with blue ears on a blue background',
    'a picture of a green toy and a red ball',
    'a picture of a toy',
    'a picture of a round toy with pink horns and a white belly',
    IN_WORDS,
    f'{IN_WORDS} on a green background',
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
        for name, prompt in (('toys', 'a picture of sks toy'), ('in-words', IN_WORDS)):
            toys = sampled_pictures(models, tokens, [prompt] * 64, guidance=guidance, seed=1)
            sheet(options.out / f'{name}-{guidance}.png', toys[:32], 8)
            share, shown = share_recognised(network, toys), traits_shown(network, toys)
            traits = f'{shown.float().mean().item():.2f} of its traits'
            say_line(options, f'guidance {guidance}, {name}: subject in {share:.3f}, {traits}')


def write_again(options: argparse.Namespace, models: Models, images: Tensor) -> None:
    """Pictures above what the autoencoder makes of them."""
    pairs = torch.cat([images[:16], seen_again(models, images[:16])]).cpu()
    sheet(options.out / 'autoencoder.png', pairs, 8)


def sheet(path: Path, images: Tensor, columns: int) -> None:
    write_png(path, grid(images.permute(0, 2, 3, 1).numpy(), columns))
