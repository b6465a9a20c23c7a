"""
From captions to pictures: encodings, noise levels, Euler steps, decoding.
"""

import math

import torch
from torch import Tensor

from folder import SCHEDULER, Models
from pictures import to_inputs
from tokens import PromptTokens
from transformer import pack, rope_tables, unpack
from world import SIDE

LATENT = SIDE // 8


def noise_levels(steps: int, rows: int) -> list[float]:
    """steps + 1 levels from 1 to 0, shifted by the number of rows of a picture."""
    span = SCHEDULER['max_image_seq_len'] - SCHEDULER['base_image_seq_len']
    slope = (SCHEDULER['max_shift'] - SCHEDULER['base_shift']) / span
    shift = math.exp(SCHEDULER['base_shift'] + slope * (rows - SCHEDULER['base_image_seq_len']))
    even = [1 - step / steps for step in range(steps)]
    return [shift / (shift + 1 / level - 1) for level in even] + [0.0]


def tables_of(models: Models, tokens: int, device) -> tuple[Tensor, Tensor]:
    axes, side = models.transformer.axes, LATENT // 2
    return tuple(table.to(device) for table in rope_tables(tokens, side, side, axes))


def to_latents(models: Models, sampled: Tensor) -> Tensor:
    config = models.configs['vae']
    return (sampled - config['shift_factor']) * config['scaling_factor']


def to_bytes(images: Tensor) -> Tensor:
    return (images.float() / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)


def decoded(models: Models, latents: Tensor) -> Tensor:
    config = models.configs['vae']
    return models.vae.decoder(latents / config['scaling_factor'] + config['shift_factor'])


@torch.no_grad()
def sampled_pictures(
    models: Models,
    tokens: PromptTokens,
    captions: list[str],
    *,
    guidance: float,
    steps: int = 20,
    seed: int = 0,
) -> Tensor:
    """(captions, 3, SIDE, SIDE) bytes on the CPU."""
    device = next(models.transformer.parameters()).device
    clip, t5 = (torch.from_numpy(ids).to(device) for ids in tokens(captions))
    prompt, pooled = models.t5(t5), models.clip(clip)
    generator = torch.Generator().manual_seed(seed)
    channels = models.configs['vae']['latent_channels']
    noise = torch.randn(len(captions), channels, LATENT, LATENT, generator=generator)
    x, tables = pack(noise.to(device)), tables_of(models, t5.shape[1], device)
    levels = noise_levels(steps, x.shape[1])
    scale = torch.full((len(captions),), guidance, device=device)
    for level, following in zip(levels, levels[1:]):
        now = torch.full_like(scale, level)
        x = x + (following - level) * models.transformer(x, prompt, pooled, now, scale, tables)
    return to_bytes(decoded(models, unpack(x, LATENT, LATENT))).cpu()


@torch.no_grad()
def moments_of(models: Models, images: Tensor) -> tuple[Tensor, Tensor]:
    parts = [models.vae.moments(to_inputs(some)) for some in images.split(250)]
    mean, log_variance = (torch.cat(part) for part in zip(*parts))
    return mean, log_variance


@torch.no_grad()
def seen_again(models: Models, images: Tensor, most_noise: float = 0.0) -> Tensor:
    """As the autoencoder gives them back, with up to so much noise in the latents, in deviations."""
    parts = []
    for some in images.split(250):
        latents = moments_of(models, some)[0]
        amount = most_noise * torch.rand(len(some), 1, 1, 1, device=latents.device)
        amount /= models.configs['vae']['scaling_factor']
        parts.append(to_bytes(models.vae.decoder(latents + amount * torch.randn_like(latents))))
    return torch.cat(parts)
