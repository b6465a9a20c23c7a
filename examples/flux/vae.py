"""
The autoencoder (AutoencoderKL without quantisation convolutions), both ways.

Names of parameters are those of the published checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResBlock(nn.Module):
    def __init__(self, before: int, after: int, groups: int):
        super().__init__()
        self.norm1, self.norm2 = (
            nn.GroupNorm(groups, before, 1e-6),
            nn.GroupNorm(groups, after, 1e-6),
        )
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, after, 1) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        return hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class PixelAttention(nn.Module):
    """One head over all pixels of an image."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, width, 1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        u = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]
        mixed = F.scaled_dot_product_attention(self.to_q(u), self.to_k(u), self.to_v(u))
        return x + self.to_out[0](mixed[:, 0]).transpose(1, 2).unflatten(2, x.shape[2:])


class Sampler(nn.Module):
    """Halves or doubles height and width around a convolution."""

    def __init__(self, width: int, is_down: bool):
        super().__init__()
        self.is_down = is_down
        self.conv = nn.Conv2d(
            width, width, 3, stride=2 if is_down else 1, padding=0 if is_down else 1
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.is_down:
            return self.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv(F.interpolate(x, scale_factor=2.0, mode='nearest'))


class Stage(nn.Module):
    """Residual blocks of one resolution; a sampler after all stages but the last."""

    def __init__(self, before: int, after: int, count: int, groups: int, sampler: str | None):
        super().__init__()
        widths = [before] + [after] * count
        self.resnets = nn.ModuleList(
            ResBlock(a, b, groups) for a, b in zip(widths[:-1], widths[1:])
        )
        self.sampler = sampler
        if sampler is not None:
            self.add_module(sampler, nn.ModuleList([Sampler(after, sampler == 'downsamplers')]))

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        return x if self.sampler is None else self.get_submodule(self.sampler)[0](x)


class Middle(nn.Module):
    def __init__(self, width: int, groups: int):
        super().__init__()
        self.resnets = nn.ModuleList(ResBlock(width, width, groups) for _ in range(2))
        self.attentions = nn.ModuleList([PixelAttention(width, groups)])

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Half(nn.Module):
    """Encoder or decoder."""

    def __init__(self, config: dict, is_encoder: bool):
        super().__init__()
        channels, groups = list(config['block_out_channels']), config['norm_num_groups']
        count, latent = config['layers_per_block'], config['latent_channels']
        self.is_encoder, last = is_encoder, len(channels) - 1
        if not is_encoder:
            channels.reverse()
            count += 1
        sampler = 'downsamplers' if is_encoder else 'upsamplers'
        inputs, outputs = (3, 2 * latent) if is_encoder else (latent, 3)
        self.conv_in = nn.Conv2d(inputs, channels[0], 3, padding=1)
        stages = nn.ModuleList(
            Stage(before, after, count, groups, sampler if n < last else None)
            for n, (before, after) in enumerate(zip([channels[0]] + channels, channels))
        )
        self.add_module('down_blocks' if is_encoder else 'up_blocks', stages)
        self.mid_block = Middle(channels[-1] if is_encoder else channels[0], groups)
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], 1e-6)
        self.conv_out = nn.Conv2d(channels[-1], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        steps = (
            [*self.down_blocks, self.mid_block]
            if self.is_encoder
            else [self.mid_block, *self.up_blocks]
        )
        for step in steps:
            x = step(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Autoencoder(nn.Module):
    """Images (rows, 3, height, width) in [-1, 1]; latents are an eighth as high and wide."""

    def __init__(self, config: dict):
        super().__init__()
        self.encoder, self.decoder = Half(config, True), Half(config, False)

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
