"""
Four ways to teach the model the subject, and what comes of them.

    python3 examples/flux/compare.py --work FOLDER [--ratio 0.75] [--steps 561 --refine-steps 289]

base, LoRA on the whole model, the paper's way for this kind of model (an emulator by plain SVD, no
correction), and ours (activation-aware, corrected, refined), each with as many steps in all. Loss
is `emloc eval` on the pictures of data/test, which nobody learns from; the share is that of samples
which the classifier takes for the subject. The samples are made by the networks of this folder from
the merged checkpoint. FOLDER keeps everything, with a sheet of pictures a way. Needs PyTorch,
safetensors and a built command (npm run build).

The paper's emulator is a folder whose linears are the products of their truncated SVD, of the ranks
that ours has; plain LoRA on it is what training on the factors would be.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import torch

from classifier import load_classifier, share_recognised
from folder import WEIGHTS, load
from png import grid, write_png
from safetensors.torch import load_file, save_file
from sampling import sampled_pictures
from tokens import PromptTokens

HERE = Path(__file__).parent
PROMPT = 'a picture of sks toy'
SHOWN = ['--instance-prompt', PROMPT, '--resolution', '96']
JOB = ['--rank', '16', '--alpha', '16', '--lr', '1e-3', '--batch', '2', '--grad-accum', '1']
JOB += ['--flip', '--noise-scheme', 'shift', '--class-prompt', 'a picture of a toy']


def emloc(*args) -> dict:
    command = ['node', HERE / '../../tools/cli/bin/emloc.cjs', *args, '--json']
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


class Comparison:
    def __init__(self, options: argparse.Namespace):
        self.options, self.work = options, options.work
        self.network, self.base = load_classifier(), HERE / 'model'

    def tune(self, name: str, model: Path, *flags) -> Path:
        adapter = self.work / name / 'adapter'
        places = ['--model', model, '--data', HERE / 'data/subject', '--out', adapter]
        places += ['--class-data', self.known()]
        seed = ['--seed', self.options.seed, '--overwrite']
        emloc('tune', *places, *SHOWN, *JOB, *seed, *flags)
        return adapter

    def known(self) -> Path:
        """What is not to be forgotten: other toys, and anything with its caption, in one folder."""
        folder = self.work / 'known'
        shutil.copytree(HERE / 'data/others', folder, dirs_exist_ok=True)
        for toy in (HERE / 'data/class').glob('*.png'):
            shutil.copy(toy, folder / f'toy-{toy.name}')
        return folder

    def row(self, name: str, title: str, adapter: Path | None) -> None:
        """A line of the table, of the original with this adapter."""
        model, flags = self.base, []
        if adapter is not None:
            model, flags = self.work / name / 'merged', ['--adapter', adapter]
            emloc('merge', '--model', self.base, *flags, '--out', model, '--overwrite')
        loss = emloc('eval', '--model', self.base, *flags, '--data', HERE / 'data/test', *SHOWN)
        shares = [self.share(model, name, guidance) for guidance in self.options.guidance]
        cells = [f'{loss["loss"]:.4f}', *(f'{100 * share:.0f} %' for share in shares)]
        print(f'| {title} | {" | ".join(cells)} |', flush=True)

    def share(self, model: Path, name: str, guidance: float) -> float:
        prompts, tokens = [PROMPT] * self.options.samples, PromptTokens(model)
        made = sampled_pictures(load(model), tokens, prompts, guidance=guidance, seed=2)
        pictures = made[:32].permute(0, 2, 3, 1).numpy()
        write_png(self.work / f'{name}-{guidance}.png', grid(pictures, 8))
        return share_recognised(self.network, made)

    def plain_svd(self, ours: Path) -> Path:
        """The original with the linears of our emulator truncated, each to the rank that it has there."""
        folder = self.work / 'plain-svd'
        shutil.copytree(self.base, folder, dirs_exist_ok=True)
        file = folder / WEIGHTS['transformer']
        weights = load_file(file)
        for layer in json.loads((ours / 'emloc.json').read_text())['emulator']['layers']:
            key, rank = f'{layer["name"]}.weight', layer['rank']
            left, values, right = torch.linalg.svd(weights[key].double(), full_matrices=False)
            product = (left[:, :rank] * values[:rank]) @ right[:rank]
            weights[key] = product.to(weights[key].dtype)
        save_file(weights, file, metadata={'format': 'pt'})
        return folder


def main(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    all_ways = Comparison(options)
    guidance = ' | '.join(f'guidance {value:g}' for value in options.guidance)
    print(f'| way | loss | {guidance} |\n| --- | ---: |{" ---: |" * len(options.guidance)}')
    all_ways.row('base', 'base', None)
    at_once = ['--ratio', 1, '--steps', options.steps + options.refine_steps]
    in_turn = ['--steps', options.steps, '--refine-steps', options.refine_steps]
    full = all_ways.tune('full', all_ways.base, *at_once)
    all_ways.row('full', 'LoRA on the whole model', full)
    ours = all_ways.tune('ours', all_ways.base, '--ratio', options.ratio, *in_turn)
    svd = all_ways.plain_svd(ours)
    paper = all_ways.tune('paper', svd, *at_once)
    title = f"the paper's way, ratio {options.ratio}: plain SVD, no correction"
    all_ways.row('paper', title, paper)
    all_ways.row('plain', f'ours, ratio {options.ratio}, uncorrected', ours / 'uncorrected')
    all_ways.row('ours', f'ours, ratio {options.ratio}', ours)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--ratio', default='0.75')
    parser.add_argument('--steps', type=int, default=561)
    parser.add_argument('--refine-steps', type=int, default=289)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--samples', type=int, default=64)
    parser.add_argument('--guidance', type=float, nargs='+', default=[1.0, 3.5])
    main(parser.parse_args())
