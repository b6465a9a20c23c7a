"""
The transformer (FluxTransformer2DModel) and what goes in: packed latents, positions, sinusoids.

Names of parameters are those of the published checkpoint.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pack(latents: Tensor) -> Tensor:
    """(rows, channels, h, w) -> (rows, h/2 * w/2, channels * 4), channel-major."""
    rows, channels, height, width = latents.shape
    cut = latents.reshape(rows, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(rows, height * width // 4, channels * 4)


def unpack(packed: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`; height and width of the latent."""
    rows, _, features = packed.shape
    cut = packed.reshape(rows, height // 2, width // 2, features // 4, 2, 2)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(rows, features // 4, height, width)


def sinusoids(scalars: Tensor) -> Tensor:
    """(rows,) -> (rows, 256): cosines, then sines."""
    steps = torch.arange(128, device=scalars.device, dtype=torch.float32)
    angles = scalars.float()[:, None] * torch.exp(-math.log(10000) * steps / 128)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rope_tables(tokens: int, height: int, width: int, axes: list[int]) -> tuple[Tensor, Tensor]:
    """(tokens + patches, head / 2) cosines and sines; height and width in patches."""
    ids = torch.zeros(tokens + height * width, 3, dtype=torch.float64)
    ids[tokens:, 1] = torch.arange(height).repeat_interleave(width)
    ids[tokens:, 2] = torch.arange(width).repeat(height)
    parts = [
        ids[:, axis, None] * 10000.0 ** (-torch.arange(0, size, 2).double() / size)
        for axis, size in enumerate(axes)
    ]
    angles = torch.cat(parts, dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotated(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Adjacent pairs of (..., rows, head) by the angles of each row."""
    cos, sin = tables
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2).to(x.dtype)


class HeadNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), 1e-6)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class Modulation(nn.Module):
    """silu(c) (rows, width) -> `count` vectors (rows, 1, width)."""

    def __init__(self, width: int, count: int):
        super().__init__()
        self.count, self.linear = count, nn.Linear(width, count * width)

    def forward(self, activated: Tensor) -> tuple[Tensor, ...]:
        return self.linear(activated)[:, None].chunk(self.count, dim=-1)


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        first = nn.ModuleDict({'proj': nn.Linear(width, 4 * width)})
        self.net = nn.ModuleList([first, nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](F.gelu(self.net[0]['proj'](x), approximate='tanh'))


class Attention(nn.Module):
    """Joint attention; the text stream has its own projections in a double block."""

    def __init__(self, width: int, heads: int, is_double: bool):
        super().__init__()
        self.heads, head = heads, width // heads
        self.norm_q, self.norm_k = HeadNorm(head), HeadNorm(head)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        if is_double:
            self.norm_added_q, self.norm_added_k = HeadNorm(head), HeadNorm(head)
            self.add_q_proj, self.add_k_proj, self.add_v_proj = (
                nn.Linear(width, width) for _ in range(3)
            )
            self.to_out = nn.ModuleList([nn.Linear(width, width)])
            self.to_add_out = nn.Linear(width, width)

    def heads_of(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def image(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (self.heads_of(part(x)) for part in (self.to_q, self.to_k, self.to_v))
        return self.norm_q(q), self.norm_k(k), v

    def prompt(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = (self.add_q_proj, self.add_k_proj, self.add_v_proj)
        q, k, v = (self.heads_of(part(x)) for part in parts)
        return self.norm_added_q(q), self.norm_added_k(k), v


def attended(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    q, k = (rotated(part, tables).to(v.dtype) for part in (q, k))
    mixed = F.scaled_dot_product_attention(q, k, v)
    return mixed.transpose(1, 2).flatten(2)


class DoubleBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm1_context = Modulation(width, 6), Modulation(width, 6)
        self.attn = Attention(width, heads, True)
        self.ff, self.ff_context = FeedForward(width), FeedForward(width)

    def forward(self, x: Tensor, y: Tensor, activated: Tensor, tables) -> tuple[Tensor, Tensor]:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.norm1(activated)
        text1, stretch1, open1, text2, stretch2, open2 = self.norm1_context(activated)
        image = self.attn.image(modulated(x, shift1, scale1))
        prompt = self.attn.prompt(modulated(y, text1, stretch1))
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(prompt, image))
        mixed, tokens = attended(q, k, v, tables), y.shape[1]
        x = x + gate1 * self.attn.to_out[0](mixed[:, tokens:])
        y = y + open1 * self.attn.to_add_out(mixed[:, :tokens])
        x = x + gate2 * self.ff(modulated(x, shift2, scale2))
        return x, y + open2 * self.ff_context(modulated(y, text2, stretch2))


class SingleBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm, self.attn = Modulation(width, 3), Attention(width, heads, False)
        self.proj_mlp, self.proj_out = nn.Linear(width, 4 * width), nn.Linear(5 * width, width)

    def forward(self, z: Tensor, activated: Tensor, tables) -> Tensor:
        shift, scale, gate = self.norm(activated)
        u = modulated(z, shift, scale)
        mixed = attended(*self.attn.image(u), tables)
        hidden = F.gelu(self.proj_mlp(u), approximate='tanh')
        return z + gate * self.proj_out(torch.cat([mixed, hidden], dim=-1))


class Embedder(nn.Module):
    def __init__(self, before: int, width: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(before, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(x)))


class FluxTransformer(nn.Module):
    """Velocity (rows, patches, 64) of packed noisy latents."""

    def __init__(self, config: dict):
        super().__init__()
        heads, features = config['num_attention_heads'], config['in_channels']
        width = heads * config['attention_head_dim']
        self.axes = config['axes_dims_rope']
        self.x_embedder = nn.Linear(features, width)
        self.context_embedder = nn.Linear(config['joint_attention_dim'], width)
        embedders = {
            'timestep_embedder': Embedder(256, width),
            'text_embedder': Embedder(config['pooled_projection_dim'], width),
        }
        if config['guidance_embeds']:
            embedders['guidance_embedder'] = Embedder(256, width)
        self.time_text_embed = nn.ModuleDict(embedders)
        self.transformer_blocks = nn.ModuleList(
            DoubleBlock(width, heads) for _ in range(config['num_layers'])
        )
        self.single_transformer_blocks = nn.ModuleList(
            SingleBlock(width, heads) for _ in range(config['num_single_layers'])
        )
        self.norm_out, self.proj_out = Modulation(width, 2), nn.Linear(width, features)

    def conditioning(self, level: Tensor, guidance: Tensor, pooled: Tensor) -> Tensor:
        parts = self.time_text_embed
        vector = parts['timestep_embedder'](sinusoids(1000 * level))
        vector = vector + parts['text_embedder'](pooled)
        if 'guidance_embedder' in parts:
            vector = vector + parts['guidance_embedder'](sinusoids(1000 * guidance))
        return F.silu(vector)

    def forward(self, packed, prompt, pooled, level, guidance, tables) -> Tensor:
        """level and guidance are (rows,); tables are those of `rope_tables`."""
        activated = self.conditioning(level, guidance, pooled)
        x, y = self.x_embedder(packed), self.context_embedder(prompt)
        for block in self.transformer_blocks:
            x, y = block(x, y, activated, tables)
        z = torch.cat([y, x], dim=1)
        for block in self.single_transformer_blocks:
            z = block(z, activated, tables)
        scale, shift = self.norm_out(activated)
        return self.proj_out(modulated(z[:, prompt.shape[1] :], shift, scale))
