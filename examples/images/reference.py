"""
What LoRA by PEFT reaches on the codes of vqa.py, from a pretrained model folder.

    python3 examples/images/reference.py --model FOLDER [--steps 600] [--rate 3e-3]

Prints the exact matches of each kind of picture before and after. Needs PyTorch, transformers and
PEFT.
"""

import argparse
import math
from pathlib import Path
from random import Random

import torch
from peft import LoraConfig, get_peft_model
from transformers import InternVLForConditionalGeneration

from batches import Batch, RowEncoder, batch_of, load_tokenizer
from pretrain import FILES, accuracy, step_once
from vqa import code_of, pictures_of, question_of

TARGETS = r'.*language_model.*\.(q|k|v|o|gate|up|down)_proj'


def batches_of(encoder: RowEncoder, split: str, order: list[int], rows: int) -> list[Batch]:
    pictures = pictures_of(split)
    groups = [order[start : start + rows] for start in range(0, len(order), rows)]
    return [
        batch_of(
            encoder,
            [pictures[i] for i in group],
            [[(question_of(pictures[i]), code_of(pictures[i]))] for i in group],
        )
        for group in groups
    ]


def tune(options: argparse.Namespace, rate: float) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(2)
    model = InternVLForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    model = model.to(device)
    encoder = RowEncoder(load_tokenizer(FILES))
    test = batches_of(encoder, 'test', list(range(200)), 50)
    print(f'before {accuracy(model, test, device)}', flush=True)
    settings = LoraConfig(r=8, lora_alpha=options.alpha, target_modules=TARGETS)
    tuned = get_peft_model(model, settings).base_model.model
    trained = [p for p in tuned.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    random, queue = Random(3), []
    for step in range(options.steps):
        if not queue:
            queue = batches_of(encoder, 'train', random.sample(range(600), 600), options.rows)
        done = step / options.steps
        for group in optimiser.param_groups:
            group['lr'] = rate * min(1, done / 0.03 + 0.1) * 0.5 * (1 + math.cos(math.pi * done))
        loss = step_once(tuned, optimiser, queue.pop(), device)
        if (step + 1) % 50 == 0 or step + 1 == options.steps:
            print(
                f'rate {rate}, step {step + 1}, loss {loss:.4f}, {accuracy(tuned, test, device)}',
                flush=True,
            )


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--steps', type=int, default=600)
    parser.add_argument('--rows', type=int, default=8)
    parser.add_argument('--alpha', type=int, default=8)
    parser.add_argument('--rate', type=float, nargs='+', default=[3e-3])
    given = parser.parse_args()
    for value in given.rate:
        tune(given, value)
