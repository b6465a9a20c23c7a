"""
Pretrains the example's model and its classifier from random weights on drawn pictures.

    python3 examples/flux/pretrain.py --out FOLDER --minutes 6

The tokenizers must be in examples/flux/model (see tokens.py). FOLDER gets model/ (the published
layout, bfloat16), classifier.safetensors and sheets of pictures to look at. --steps N makes N steps
of each phase and heeds no clock. Where a machine is lent for a few minutes at a time, the
autoencoder is one run (--only autoencoder, which writes autoencoder.safetensors) and all else
another one (--autoencoder FILE, of such a run or of a model's folder); --model FOLDER goes on with
flow matching and guidance of a model that is there. Needs PyTorch, safetensors and tokenizers.
"""

import argparse
import math
import os
import shutil
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from classifier import (
    FILE,
    Classifier,
    classifier_loss,
    load_classifier,
    save_classifier,
    share_recognised,
)
from compiling import compile_parts, plain_again
from flow import Draws, Network, Trainer, band_losses, compile_blocks, guided
from folder import Models, load, new_models, round_weights, save
from phases import Phase, say_line
from pictures import Pictures, drawn, to_inputs
from sampling import moments_of, seen_again, tables_of, to_bytes
from sheets import write_again, write_sheets
from tokens import PromptTokens
from vae import Autoencoder, sampled

FILES = Path(__file__).parent / 'model'
# Of latents that the classifier sees decoded, in deviations.
MOST_NOISE = 0.5
# Weight of the latents' divergence from N(0, 1), a latent number, beside errors of pixels.
DIVERGENCE = 1e-4


def edges(images: Tensor) -> tuple[Tensor, Tensor]:
    return images.diff(dim=2), images.diff(dim=3)


def autoencoder_loss(vae: Autoencoder, images: Tensor) -> tuple[Tensor, Tensor]:
    """All, and the mean absolute error of pixels alone."""
    device = images.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        mean, log_variance = (part.float() for part in vae.moments(images))
        again = vae.decoder(sampled(mean, log_variance))
    again = again.float()
    pixels = F.l1_loss(again, images)
    slopes = sum(F.l1_loss(a, b) for a, b in zip(edges(again), edges(images)))
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return pixels + slopes + 0.5 * F.mse_loss(
        again, images
    ) + DIVERGENCE * divergence, pixels.detach()


def train_autoencoder(options: argparse.Namespace, models: Models, images: Tensor) -> None:
    vae, phase = models.vae, Phase(options, 'autoencoder')
    halves = [vae.encoder, vae.decoder]
    if images.is_cuda:
        vae.to(memory_format=torch.channels_last)
    if images.is_cuda and not options.eager:
        some = to_inputs(images[: options.pictures])
        say_line(options, f'halves: {compile_parts(halves, lambda: tried(vae, some))}')
    optimiser = torch.optim.AdamW(
        vae.parameters(), betas=(0.9, 0.99), weight_decay=0.001, fused=images.is_cuda
    )
    while phase.share() < 1:
        for group in optimiser.param_groups:
            group['lr'] = phase.rate(2e-3)
        chosen = torch.randint(len(images), (options.pictures,), device=images.device)
        loss, pixels = autoencoder_loss(vae, to_inputs(images[chosen]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0, foreach=True)
        optimiser.step()
        phase.done(lambda: f'loss {loss.item():.4f}, pixels {pixels.item():.4f}')
    plain_again(halves)
    vae.to(memory_format=torch.contiguous_format)
    round_weights(vae)


def tried(vae: Autoencoder, images: Tensor) -> float:
    """The loss of a step that changes nothing; of the same draws each time."""
    torch.manual_seed(3)
    loss, _ = autoencoder_loss(vae, images)
    loss.backward()
    vae.zero_grad(set_to_none=True)
    return loss.item()


@torch.no_grad()
def measure_latents(options: argparse.Namespace, models: Models, images: Tensor) -> None:
    """Shift and scale that bring latents to mean 0, deviation 1."""
    latents = sampled(*moments_of(models, images))
    config = models.configs['vae']
    config['shift_factor'] = round(latents.mean().item(), 4)
    config['scaling_factor'] = round(1 / latents.std().item(), 4)
    again = models.vae.decoder(moments_of(models, images[:200])[0])
    error = (to_bytes(again).float() - images[:200].float()).square().mean().item()
    say_line(
        options,
        f'latents: shift {config["shift_factor"]}, scale {config["scaling_factor"]}; '
        f'pictures again: {10 * math.log10(255**2 / error):.1f} dB',
    )


def draws_of(models: Models, tokens: PromptTokens, pictures, device: str) -> Draws:
    """The empty caption comes first. Ids of CLIP are cut where all have ended: it is causal."""
    clip, t5 = tokens(['', *pictures.captions])
    most = int((clip != clip[0, -1]).sum(1).max()) + 1
    ids = (torch.from_numpy(part).to(device) for part in (clip[:, :most].copy(), t5))
    mean, log_variance = moments_of(models, pictures.images)
    return Draws(models, mean.bfloat16(), log_variance.bfloat16(), *ids)


def train_flow(options: argparse.Namespace, models: Models, draws: Draws, held_out: Draws) -> None:
    """Flow matching, then the guidance; leaves the averaged weights in `models`."""
    device = draws.mean.device
    tables = tables_of(models, draws.t5.shape[1], device)
    if device.type == 'cuda' and not options.eager:
        outcome = compile_blocks(Network(models), draws.next(options.rows), tables)
        say_line(options, f'blocks: {outcome}')

    def held_out_losses(trainer: Trainer) -> list[float]:
        return band_losses(trainer.average, held_out, options.held_out)

    for name, peak in (('flow', 1.5e-3), ('guidance', 5e-4)):
        trainer, phase = Trainer(Network(models)), Phase(options, name)
        teacher = trainer.average if name == 'flow' else Network(models_copy(models))
        while phase.share() < 1:
            batch = draws.next(options.rows)
            if name == 'guidance':
                batch = guided(teacher, batch, draws, tables)
            loss = trainer.step(batch, tables, phase.rate(peak))
            phase.done(lambda: f'loss {loss.item():.4f}, held out {held_out_losses(trainer)}')
        for part in ('transformer', 'clip', 't5'):
            getattr(models, part).load_state_dict(getattr(trainer.average, part).state_dict())
        round_weights(trainer.average)
        losses = band_losses(trainer.average, held_out, 4 * options.held_out)
        say_line(options, f'{name}: {phase.step} steps; held out, in bfloat16: {losses}')


def models_copy(models: Models) -> Models:
    device = next(models.transformer.parameters()).device
    copy = new_models(FILES)
    for name, part in models.parts().items():
        getattr(copy, name).load_state_dict(part.state_dict())
    return copy.to(str(device))


def train_classifier(
    options: argparse.Namespace, models: Models, kinds: dict[str, Pictures]
) -> Classifier:
    """
    Each picture as drawn and as the autoencoder gives it back from noisy latents, in training now
    and then blurred: what a small model samples is no sharper.
    """
    drawings = torch.cat([some.images for some in kinds.values()])
    images = torch.cat([drawings, seen_again(models, drawings, MOST_NOISE)])
    traits = torch.cat([some.traits for some in kinds.values()]).repeat(2, 1)
    names = [name for name, some in kinds.items() for _ in some.captions] * 2
    order = torch.randperm(len(images))
    held, train = order[: len(order) // 10], order[len(order) // 10 :].to(images.device)
    network, phase = Classifier().to(images.device), Phase(options, 'classifier')
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    while phase.share() < 1:
        for group in optimiser.param_groups:
            group['lr'] = phase.rate(2e-3)
        chosen = train[torch.randint(len(train), (2 * options.pictures,), device=images.device)]
        loss = classifier_loss(network, worsened(to_inputs(images[chosen])), traits[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        phase.done(lambda: f'loss {loss.item():.4f}')
    shares = {}
    for name in kinds:
        some = [place for place in held.tolist() if names[place] == name]
        shares[name] = round(share_recognised(network, images[some]), 4)
    say_line(options, f'classifier: {phase.step} steps; held out, taken for the subject: {shares}')
    return network


def worsened(inputs: Tensor) -> Tensor:
    """Some noise in each picture; every other one blurred."""
    rows, device = len(inputs), inputs.device
    blurred = F.avg_pool2d(F.pad(inputs, (1, 1, 1, 1), mode='replicate'), 3, stride=1)
    is_blurred = torch.rand(rows, 1, 1, 1, device=device) < 0.5
    noise = 0.05 * torch.rand(rows, 1, 1, 1, device=device) * torch.randn_like(inputs)
    return torch.where(is_blurred, blurred, inputs) + noise


def main(options: argparse.Namespace) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    pool = get_context('spawn').Pool(options.workers)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision('high')
    torch.backends.cudnn.benchmark = True
    scenes = drawn(pool, 'scene', 'train', options.scenes, device)
    kinds, doodles = {}, []
    if options.model is None:
        kinds = {
            kind: drawn(pool, kind, 'train', options.scenes // 20, device)
            for kind in ('subject', 'alike', 'toy', 'other')
        }
        if options.autoencoder is None:
            doodles = [drawn(pool, 'doodle', 'train', options.scenes // 5, device).images]
    held_out = drawn(pool, 'scene', 'held out', options.held_out, device)
    pool.terminate()
    say_line(options, f'{len(scenes.images)} scenes drawn')
    models = new_models(FILES) if options.model is None else load(options.model)
    models, tokens = models.to(device), PromptTokens(FILES)
    sizes = {
        name: sum(p.numel() for p in part.parameters()) for name, part in models.parts().items()
    }
    say_line(options, f'{sizes} parameters, {device}')
    if options.model is None:
        make_autoencoder(options, models, torch.cat([scenes.images, *doodles]), held_out)
    if options.only == 'autoencoder':
        write_again(options, models, held_out.images)
        return
    draws, held = (draws_of(models, tokens, some, device) for some in (scenes, held_out))
    train_flow(options, models, draws, held)
    save(models, options.out / 'model')
    for name in ('tokenizer', 'tokenizer_2'):
        shutil.copytree(FILES / name, options.out / 'model' / name, dirs_exist_ok=True)
    if options.model is None:
        save_classifier(train_classifier(options, models, kinds), options.out / FILE.name)
    network = load_classifier(options.out / FILE.name if options.model is None else FILE)
    write_sheets(options, tokens, network.to(device), held_out.images, device)
    say_line(options, 'done')


def make_autoencoder(
    options: argparse.Namespace, models: Models, images: Tensor, held_out: Pictures
) -> None:
    if options.autoencoder is None:
        train_autoencoder(options, models, images)
        save_file(models.vae.state_dict(), options.out / 'autoencoder.safetensors')
    else:
        models.vae.load_state_dict(load_file(options.autoencoder))
    measure_latents(options, models, held_out.images)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=6)
    parser.add_argument('--steps', type=int, help='of each phase, in place of minutes')
    parser.add_argument('--only', choices=['autoencoder'], help='end after this phase')
    parser.add_argument('--autoencoder', type=Path, help='made by an earlier run')
    parser.add_argument('--model', type=Path, help='goes on with this one')
    parser.add_argument('--scenes', type=int, default=200_000)
    parser.add_argument('--held-out', type=int, default=1000)
    parser.add_argument('--rows', type=int, default=1024, help='a step of the transformer')
    parser.add_argument('--pictures', type=int, default=160, help='a step of the autoencoder')
    parser.add_argument('--workers', type=int, default=max(1, os.cpu_count() or 1))
    parser.add_argument('--eager', action='store_true', help='compile nothing')
    parser.add_argument('--show', type=float, default=15, help='seconds between lines')
    return parser.parse_args()


if __name__ == '__main__':
    chosen = read_options()
    chosen.started = time.monotonic()
    chosen.out.mkdir(parents=True, exist_ok=True)
    main(chosen)
