"""
What plain LoRA reaches on the five pictures of the subject, from a pretrained model.

    python3 examples/flux/reference.py --model FOLDER [--out FOLDER] [--rate 1e-3 3e-3]

Trains at guidance 1, as usual for this family, and prints the share of samples that the classifier
takes for the subject at several guidances. Needs PyTorch and safetensors.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from classifier import FILE, load_classifier, share_recognised
from folder import Models, load
from png import grid, read_png, write_png
from sampling import moments_of, sampled_pictures, tables_of, to_latents
from tokens import PromptTokens
from transformer import pack
from vae import sampled

DATA = Path(__file__).parent / 'data' / 'subject'
PROMPT = 'a picture of sks toy'
OTHERS = ['a picture of sks toy on a green background', 'a picture of a red ball and sks toy']
OTHERS += ['a picture of a red toy', 'a picture of a blue car on a yellow background']
TARGETS = ('to_q', 'to_k', 'to_v', 'to_out.0', 'add_q_proj', 'add_k_proj', 'add_v_proj')
TARGETS += ('to_add_out', 'net.0.proj', 'net.2')


class Adapted(nn.Module):
    """A linear and its LoRA of scale 1."""

    def __init__(self, linear: nn.Linear, rank: int):
        super().__init__()
        self.linear = linear
        options = {'device': linear.weight.device}
        self.down = nn.Parameter(torch.randn(rank, linear.in_features, **options) / rank)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, **options))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + F.linear(F.linear(x, self.down), self.up)


def adapt(models: Models, rank: int) -> list[nn.Parameter]:
    """Puts LoRA on the usual targets; gives the weights to train."""
    transformer = models.transformer.requires_grad_(False)
    trained = []
    for name, module in list(transformer.named_modules()):
        if isinstance(module, nn.Linear) and 'blocks.' in name and name.endswith(TARGETS):
            adapted = Adapted(module, rank)
            parent, _, last = name.rpartition('.')
            transformer.get_submodule(parent).register_module(last, adapted)
            trained += [adapted.down, adapted.up]
    return trained


def tune(options: argparse.Namespace, models: Models, tokens: PromptTokens, rate: float) -> float:
    """The last steps' mean loss."""
    device = next(models.transformer.parameters()).device
    files = sorted(DATA.glob('*.png'))
    pixels = torch.from_numpy(np.stack([read_png(file) for file in files])).permute(0, 3, 1, 2)
    mean, log_variance = moments_of(models, pixels.to(device))
    with torch.no_grad():
        captions = [file.with_suffix('.txt').read_text().strip() for file in files]
        clip, t5 = (torch.from_numpy(ids).to(device) for ids in tokens(captions))
        prompts, pooled, rows = models.t5(t5), models.clip(clip), options.rows
    trained = adapt(models, options.rank)
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=1e-4)
    tables, one = tables_of(models, t5.shape[1], device), torch.ones(rows, device=device)
    losses = []
    for _ in range(options.steps):
        chosen = torch.randint(len(files), (rows,), device=device)
        latents = pack(to_latents(models, sampled(mean[chosen], log_variance[chosen])))
        level, noise = torch.rand(rows, device=device), torch.randn_like(latents)
        noisy = torch.lerp(latents, noise, level[:, None, None])
        velocity = models.transformer(
            noisy, prompts[chosen], pooled[chosen], level, one, tables
        )
        loss = F.mse_loss(velocity, noise - latents)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses[-100:]).mean().item()


def report(
    options: argparse.Namespace, models: Models, tokens: PromptTokens, name: str, file: str
) -> None:
    """A line, and sheets of pictures where a folder for them is named."""
    device = next(models.transformer.parameters()).device
    network, shares = load_classifier(options.classifier).to(device), {}
    for guidance in (1.0, 2.0, 3.5):
        made = sampled_pictures(
            models, tokens, [PROMPT] * options.samples, guidance=guidance, seed=2
        )
        shares[guidance] = round(share_recognised(network, made), 3)
        captions = [prompt for prompt in OTHERS for _ in range(4)]
        others = sampled_pictures(models, tokens, captions, guidance=guidance, seed=3)
        if options.out is not None:
            images = torch.cat([made[:16], others]).permute(0, 2, 3, 1).numpy()
            write_png(options.out / f'{file}-{guidance}.png', grid(images, 8))
    print(f'{name}: share of the subject by guidance {shares}', flush=True)


def main(options: argparse.Namespace) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    tokens = PromptTokens(options.model)
    report(options, load(options.model).to(device), tokens, 'base', 'base')
    for rate in options.rate:
        torch.manual_seed(1)
        models = load(options.model).to(device)
        loss = tune(options, models, tokens, rate)
        name = f'rank {options.rank}, rate {rate}, loss {loss:.4f}'
        report(options, models, tokens, name, f'lora-{rate}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--model', type=Path, default=Path(__file__).parent / 'model')
    parser.add_argument('--classifier', type=Path, default=FILE)
    parser.add_argument('--out', type=Path)
    parser.add_argument('--rate', type=float, nargs='+', default=[1e-3, 3e-3])
    parser.add_argument('--steps', type=int, default=500)
    parser.add_argument('--rows', type=int, default=4)
    parser.add_argument('--rank', type=int, default=4)
    parser.add_argument('--samples', type=int, default=64)
    main(parser.parse_args())
