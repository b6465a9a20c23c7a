"""
A LoRA step of examples/models/demo-5m on the CPU, ours and PyTorch's, in turn.

    python3 tools/bench/cpu_torch.py [--threads 2] [--rounds 5] [--steps 40] [--ways eager compiled]
                                     [--emloc "node tools/cli/bin/emloc.cjs"]

LoRA of rank 8 on all linears of the original, 8 rows of about 60 tokens a step, all of them trained
on. PyTorch gets as many tokens in rows of one length, so that it pads nothing; transformers' forward
with LoRA by hand, AdamW; eager and by torch.compile where a compiler is found, the faster counts.
Prints the median step of each round and the ratio of the medians. Needs torch, transformers and a
built command (npm run build).
"""

import argparse
import json
import shlex
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'examples/models/demo-5m'
ROWS, LENGTH, RANK, ALPHA, WARM = 8, 60, 8, 16, 5
WORDS = 'Mary wants nine keys to be sent to Miami in May and a friend in Seattle gave Mike one book'


class Lora(nn.Module):
    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(RANK, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + F.linear(F.linear(x, self.a), self.b) * (ALPHA / RANK)


class Rival:
    """PyTorch's step; `compiled` makes one graph of forward and loss."""

    def __init__(self, rows: int, length: int, compiled: bool):
        model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
        model.config.use_cache = False
        model.requires_grad_(False)
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Linear) and name != 'lm_head':
                parent, _, leaf = name.rpartition('.')
                setattr(model.get_submodule(parent), leaf, Lora(module))
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=1e-3, fused=True)
        self.ids = torch.randint(0, model.config.vocab_size, (rows, length))
        self.forward = torch.compile(model) if compiled else model

    def step(self) -> float:
        started = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        self.forward(input_ids=self.ids, labels=self.ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        return time.perf_counter() - started


def write_rows(path: Path, count: int) -> None:
    """Texts of about as many tokens each, none like another."""
    words = WORDS.split()
    lines = []
    for row in range(count):
        text = ' '.join(words[(row * 7 + i * (1 + row % 5)) % len(words)] for i in range(LENGTH // 2))
        lines.append(json.dumps({'text': text}))
    path.write_text('\n'.join(lines) + '\n')


def our_round(options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Median seconds and tokens of a step."""
    out = folder / 'adapter'
    job = ['tune', '--model', MODEL, '--data', folder / 'rows.jsonl', '--out', out, '--overwrite']
    job += ['--device', 'cpu', '--threads', options.threads, '--method', 'resident', '--lr', '1e-3']
    job += ['--rank', RANK, '--alpha', ALPHA, '--batch', ROWS, '--grad-accum', 1]
    job += ['--steps', options.steps + WARM, '--json']
    command = [*shlex.split(options.emloc), *map(str, job)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = (json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines())
    steps = [line for line in lines if line['event'] == 'step'][WARM:]
    return tuple(statistics.median(step[key] for step in steps) for key in ('seconds', 'items'))


def main(options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / 'rows.jsonl', 256)
        _, tokens = our_round(options, folder)
        rivals = {}
        for way in options.ways:
            try:
                rival = Rival(ROWS, round(tokens / ROWS), way == 'compiled')
                for _ in range(WARM):
                    rival.step()
                rivals[way] = rival
            except Exception as error:
                print(f'{way}: {str(error).splitlines()[0]}')
        print(f'PyTorch {torch.__version__}, {options.threads} threads; {tokens:.0f} tokens a step')
        ours, theirs = [], {way: [] for way in rivals}
        for round_ in range(options.rounds):
            ours.append(our_round(options, folder)[0])
            for way, rival in rivals.items():
                seconds = statistics.median(rival.step() for _ in range(options.steps))
                theirs[way].append(seconds)
            parts = [f'{way} {1e3 * found[-1]:.1f} ms' for way, found in theirs.items()]
            print(f'round {round_ + 1}: ours {1e3 * ours[-1]:.1f} ms, {", ".join(parts)}')
    best = min(statistics.median(found) for found in theirs.values())
    median = statistics.median(ours)
    print(f'ours {1e3 * median:.1f} ms, PyTorch {1e3 * best:.1f} ms: {best / median:.2f} times as fast')


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--steps', type=int, default=40)
    parser.add_argument('--ways', nargs='+', choices=['eager', 'compiled'], default=['eager', 'compiled'])
    parser.add_argument('--emloc', default=f'node {ROOT / "tools/cli/bin/emloc.cjs"}')
    main(parser.parse_args())
