"""
Training of the transformer together with its text encoders: flow matching, then guidance that
is distilled from the difference between captioned and empty prompts.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compiling import compile_parts
from folder import Models
from sampling import tables_of, to_latents
from transformer import pack
from vae import sampled

HIGHEST_GUIDANCE = 5.0
EMPTY_SHARE = 0.1
PLAIN_SHARE = 0.35
AVERAGING = 0.999


class Network(nn.Module):
    """Text encoders and transformer as one: velocity from noisy latents and ids."""

    def __init__(self, models: Models):
        super().__init__()
        self.transformer, self.clip, self.t5 = models.transformer, models.clip, models.t5

    def forward(self, x, clip, t5, level, guidance, tables) -> Tensor:
        return self.transformer(x, self.t5(t5), self.clip(clip), level, guidance, tables)


class Draws:
    """Rows of training: latents sampled anew, their captions' ids, noise, noise levels."""

    def __init__(
        self, models: Models, mean: Tensor, log_variance: Tensor, clip: Tensor, t5: Tensor
    ):
        self.models, self.mean, self.log_variance = models, mean, log_variance
        self.clip, self.t5 = clip, t5
        self.empty_clip, self.empty_t5 = clip[:1], t5[:1]

    def next(self, rows: int) -> dict[str, Tensor]:
        """The first caption is the empty one; a share of the rows has it."""
        device = self.mean.device
        chosen = torch.randint(len(self.mean), (rows,), device=device)
        moments = self.mean[chosen].float(), self.log_variance[chosen].float()
        latents = to_latents(self.models, sampled(*moments))
        return self.noised(
            latents, torch.where(torch.rand(rows, device=device) < EMPTY_SHARE, 0, chosen + 1)
        )

    def noised(self, latents: Tensor, captions: Tensor) -> dict[str, Tensor]:
        rows, device = len(latents), latents.device
        noise = torch.randn_like(latents)
        normal = torch.sigmoid(torch.randn(rows, device=device))
        uniform = torch.rand(rows, device=device)
        level = torch.where(torch.rand(rows, device=device) < 0.5, normal, uniform)
        share = level[:, None, None, None]
        return {
            'x': pack((1 - share) * latents + share * noise),
            'target': pack(noise - latents),
            'level': level,
            'clip': self.clip[captions],
            't5': self.t5[captions],
            'guidance': 1 + (HIGHEST_GUIDANCE - 1) * torch.rand(rows, device=device),
        }


class Trainer:
    """A network in training, and the average of its weights along the way."""

    def __init__(self, network: Network):
        self.average = copy.deepcopy(network)
        self.network, self.steps = network, 0
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups = [
            {'params': weights, 'weight_decay': 0.02},
            {'params': others, 'weight_decay': 0.0},
        ]
        is_fused = next(network.parameters()).is_cuda
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=is_fused)

    def step(self, batch: dict[str, Tensor], tables, rate: float) -> Tensor:
        for group in self.optimiser.param_groups:
            group['lr'] = rate
        loss = loss_of(self.network, batch, tables)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, foreach=True)
        self.optimiser.step()
        self.steps += 1
        self.follow()
        return loss.detach()

    @torch.no_grad()
    def follow(self) -> None:
        share = 1 - min(AVERAGING, (self.steps + 1) / (self.steps + 10))
        pairs = list(self.average.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(*pairs, share)


def compile_blocks(network: Network, batch: dict[str, Tensor], tables) -> str:
    """Compiles the transformer's blocks, see `compile_parts`."""
    blocks = [*network.transformer.transformer_blocks]
    blocks += network.transformer.single_transformer_blocks
    return compile_parts(blocks, lambda: tried(network, batch, tables))


def tried(network: Network, batch: dict[str, Tensor], tables) -> float:
    """The loss of a step that changes nothing."""
    loss = loss_of(network, batch, tables)
    loss.backward()
    network.zero_grad(set_to_none=True)
    return loss.item()


def loss_of(network: Network, batch: dict[str, Tensor], tables) -> Tensor:
    device = batch['x'].device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        velocity = velocity_of(network, batch, tables)
    return F.mse_loss(velocity.float(), batch['target'])


def velocity_of(network: Network, batch: dict[str, Tensor], tables) -> Tensor:
    names = ('x', 'clip', 't5', 'level', 'guidance')
    return network(*(batch[name] for name in names), tables)


@torch.no_grad()
def guided(teacher: Network, batch: dict[str, Tensor], draws: Draws, tables) -> dict[str, Tensor]:
    """
    Targets by guidance g: empty + g (captioned - empty), both the teacher's. A share of the rows
    has g = 1 and the true velocity, which is what fine-tuning with g = 1 goes on from.
    """
    rows, device = len(batch['x']), batch['x'].device
    plain = int(rows * PLAIN_SHARE)
    some = {name: value[plain:] for name, value in batch.items()}
    bare = some | {
        'clip': draws.empty_clip.expand(rows - plain, -1),
        't5': draws.empty_t5.expand(rows - plain, -1),
    }
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == 'cuda'):
        full = velocity_of(teacher, some, tables).float()
        empty = velocity_of(teacher, bare, tables).float()
    target = torch.lerp(empty, full, some['guidance'][:, None, None])
    guidance = batch['guidance'].clone()
    guidance[:plain] = 1
    return batch | {'guidance': guidance, 'target': torch.cat([batch['target'][:plain], target])}


@torch.no_grad()
def band_losses(network: Network, draws: Draws, rows: int) -> list[float]:
    """Mean squared error with g = 1 in the three thirds of the noise levels, the lowest first."""
    device = draws.mean.device
    with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
        torch.manual_seed(5)
        batch = draws.next(rows)
    batch['guidance'] = torch.ones_like(batch['level'])
    tables = tables_of(draws.models, batch['t5'].shape[1], device)
    errors = (velocity_of(network, batch, tables) - batch['target']).square().mean((1, 2))
    band = (batch['level'] * 3).long().clamp(max=2)
    return [round(errors[band == third].mean().item(), 4) for third in range(3)]
