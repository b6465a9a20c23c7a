"""
Pretrains the example's model from random weights on drawn pictures.

    python3 examples/images/pretrain.py --out FOLDER --minutes 7

The tokenizer and processor files must be in examples/images/model (see tokens.py); config,
generation config and bfloat16 weights are written into the folder every minute and at the end.
Needs PyTorch and transformers.
"""

import argparse
import math
import os
import time
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration

from batches import IGNORED, Batch, RowEncoder, drawn_batch, grid_of, load_tokenizer, start_workers
from tokens import (
    CONTEXT,
    DEVIATION,
    END_OF_TEXT,
    END_OF_TURN,
    MEAN,
    PATCH,
    TILE,
    TOKENS_PER_TILE,
)

FILES = Path(__file__).parent / 'model'
WARM_UP_SECONDS = 12
POOL = 400
SAVE_SECONDS = 60


def config_of(tokenizer: Tokenizer) -> InternVLConfig:
    """1.9 million parameters: a tower of five blocks, a Qwen2 of six."""
    vision = {
        'hidden_size': 128,
        'num_hidden_layers': 5,
        'num_attention_heads': 4,
        'intermediate_size': 320,
        'attention_bias': True,
        'image_size': TILE,
        'patch_size': PATCH,
        'layer_scale_init_value': 1.0,
        'initializer_range': 0.05,
    }
    text = {
        'model_type': 'qwen2',
        'vocab_size': tokenizer.get_vocab_size(),
        'hidden_size': 128,
        'num_hidden_layers': 6,
        'num_attention_heads': 4,
        'num_key_value_heads': 2,
        'intermediate_size': 256,
        'max_position_embeddings': 2048,
        'rope_theta': 10000.0,
        'initializer_range': 0.05,
        'tie_word_embeddings': False,
        'bos_token_id': None,
        'eos_token_id': tokenizer.token_to_id(END_OF_TURN),
        'pad_token_id': tokenizer.token_to_id(END_OF_TEXT),
    }
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.token_to_id(CONTEXT),
        image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=False,
    )


def create_model(tokenizer: Tokenizer) -> InternVLForConditionalGeneration:
    model = InternVLForConditionalGeneration(config_of(tokenizer))
    embeddings = model.model.vision_tower.embeddings
    for parameter in (embeddings.position_embeddings, embeddings.cls_token):
        torch.nn.init.normal_(parameter, std=0.05)
    return model


def tiles_from(batch: Batch, device: str) -> torch.Tensor:
    """(rows x tiles, 3, TILE, TILE) normalised: cut row by row, the thumbnail last."""
    pixels = torch.from_numpy(batch.pixels).to(device).long()
    palettes = torch.from_numpy(batch.palettes).to(device).float()
    count, height, width = pixels.shape
    rgb = palettes[torch.arange(count, device=device)[:, None, None], pixels].permute(0, 3, 1, 2)
    columns, rows = grid_of(width, height)
    whole = resized(rgb, (TILE * rows, TILE * columns))
    cut = whole.unflatten(3, (columns, TILE)).unflatten(2, (rows, TILE)).permute(0, 2, 4, 1, 3, 5)
    tiles = cut.reshape(count, rows * columns, 3, TILE, TILE)
    if rows * columns > 1:
        tiles = torch.cat([tiles, resized(rgb, (TILE, TILE))[:, None]], dim=1)
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, DEVIATION))
    return (tiles.flatten(0, 1) / 255 - mean) / deviation


def resized(rgb: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if rgb.shape[2:] == size:
        return rgb
    interpolate = torch.nn.functional.interpolate
    return interpolate(rgb, size, mode='bicubic', antialias=True).round().clamp(0, 255)


def logits_of(model, tiles: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Next-token logits; every row has its picture's tokens at the same place."""
    inner = model.model
    hidden = inner.vision_tower(pixel_values=tiles).last_hidden_state[:, 1:]
    side = TILE // PATCH
    grid = inner.pixel_shuffle(hidden.reshape(-1, side, side, hidden.shape[-1]))
    rows = inner.multi_modal_projector(grid.flatten(1, 2)).reshape(len(ids), -1, 128)
    first = int((ids[0] == model.config.image_token_id).nonzero()[0])
    text = inner.language_model.embed_tokens(ids)
    parts = [text[:, :first], rows.to(text.dtype), text[:, first + rows.shape[1] :]]
    states = inner.language_model(inputs_embeds=torch.cat(parts, dim=1), use_cache=False)
    return model.lm_head(states.last_hidden_state)


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    shifted = logits[:, :-1].flatten(0, 1).float()
    return torch.nn.functional.cross_entropy(
        shifted, targets[:, 1:].flatten(), ignore_index=IGNORED
    )


@torch.no_grad()
def right_rows(model, batch: Batch, device: str) -> torch.Tensor:
    """
    Which rows are right at every target: for rows of one question that is what greedy decoding
    answers exactly.
    """
    ids, targets = (torch.from_numpy(a).to(device) for a in (batch.ids, batch.targets))
    best = logits_of(model, tiles_from(batch, device), ids)[:, :-1].argmax(-1)
    wanted = targets[:, 1:]
    return ((best == wanted) | (wanted == IGNORED)).all(dim=1).cpu()


def accuracy(model, batches: list[Batch], device: str) -> dict[str, float]:
    """The share of right rows of each kind of picture."""
    right: dict[str, list[bool]] = {}
    for batch in batches:
        for kind, hit in zip(batch.kinds, right_rows(model, batch, device).tolist()):
            right.setdefault(kind, []).append(hit)
    return {kind: round(sum(hits) / len(hits), 4) for kind, hits in sorted(right.items())}


def save(model, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes bfloat16 weights in the layout of transformers."""
    state = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    copy = create_model(tokenizer).to(torch.bfloat16)
    copy.load_state_dict(state)
    end, pad = (tokenizer.token_to_id(token) for token in (END_OF_TURN, END_OF_TEXT))
    copy.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    copy.config.dtype = torch.bfloat16
    copy.save_pretrained(folder)


class Source:
    """New batches as they come, in between batches seen a little while ago."""

    def __init__(self, queue, reuse: int):
        self.queue, self.reuse, self.pool, self.taken = queue, reuse, [], 0
        self.random = Random(7)

    def next(self) -> Batch:
        self.taken += 1
        if self.pool and (self.taken % self.reuse or self.queue.empty()):
            return self.random.choice(self.pool)
        self.pool = [*self.pool[-POOL + 1 :], self.queue.get()]
        return self.pool[-1]


def rate_at(elapsed: float, seconds: float, peak: float) -> float:
    """Linear warm-up, then a cosine to a hundredth of the peak, by the clock."""
    warm = min(1.0, elapsed / min(WARM_UP_SECONDS, 0.1 * seconds))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed / seconds)))
    return peak * warm * (0.01 + 0.99 * cosine)


def train(options: argparse.Namespace) -> None:
    source = Source(start_workers(FILES, options.rows, options.workers), options.reuse)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    tokenizer = load_tokenizer(FILES)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision('high')
    encoder, random = RowEncoder(tokenizer), Random('held out')
    held_out = [drawn_batch(random, encoder, 200, 1) for _ in range(options.held_out)]
    model = create_model(tokenizer).to(device)
    print(f'{sum(p.numel() for p in model.parameters())} parameters, {device}', flush=True)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{'params': decayed, 'weight_decay': 0.05}, {'params': others, 'weight_decay': 0.0}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=device == 'cuda')
    first, seconds = source.next(), 60 * options.minutes
    started, step, saved, shown = time.monotonic(), 0, 0.0, 0.0
    while (elapsed := time.monotonic() - started) < seconds:
        for group in optimiser.param_groups:
            group['lr'] = rate_at(elapsed, seconds, options.rate)
        batch = first if step == 0 else source.next()
        loss = step_once(model, optimiser, batch, device)
        step += 1
        if elapsed - shown >= options.show:
            shown = elapsed
            print(
                f'{elapsed:.0f} s, step {step}, loss {loss.item():.4f}, '
                f'{source.taken // options.reuse} taken, {accuracy(model, held_out, device)}',
                flush=True,
            )
        if elapsed - saved >= SAVE_SECONDS:
            saved = elapsed
            save(model, tokenizer, options.out)
    save(model, tokenizer, options.out)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    print(f'{step} steps; in bfloat16: {accuracy(model, held_out, device)}', flush=True)


def step_once(model, optimiser, batch: Batch, device: str) -> torch.Tensor:
    ids, targets = (torch.from_numpy(a).to(device) for a in (batch.ids, batch.targets))
    tiles = tiles_from(batch, device)
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        logits = logits_of(model, tiles, ids)
    loss = loss_of(logits, targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
    optimiser.step()
    return loss.detach()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=7)
    parser.add_argument('--rows', type=int, default=384)
    parser.add_argument('--reuse', type=int, default=1)
    parser.add_argument('--rate', type=float, default=1.5e-3)
    parser.add_argument('--workers', type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument('--held-out', type=int, default=8)
    parser.add_argument('--show', type=float, default=30, help='seconds between lines')
    return parser.parse_args()


if __name__ == '__main__':
    train(read_options())
    # The workers, still drawing, end when they see that this process is gone.
    os._exit(0)
