"""
The ways to teach the model the subject, and what comes of them, as a table.

    python3 examples/flux/compare.py --work FOLDER [--ratio 0.45] [--steps 400 --refine-steps 100]

The base model; LoRA on the whole model; the paper's way for this kind of model, an emulator by
plain SVD without a correction, of modulation too; ours, activation-aware, before and after its
correction and its refinement; plain SVD without modulation and ours with it. All learn the same
number of steps. A row is what the original does with the adapter:

- loss: `emloc eval` on the pictures of data/test, which nobody learns from;
- subject: the share of samples that the classifier takes for the subject, by guidance;
- traits: how many of the subject's traits the samples show on average, at the last guidance;
- known: `emloc eval` on scenes of pretraining's kind, drawn anew.

The prompts of the samples name the backgrounds, of which the five pictures have five and the
samples eight. They are made by the networks of this folder from the merged checkpoint. FOLDER keeps
everything, with a sheet of pictures a row, and table.md. Needs PyTorch, safetensors, tokenizers and
a built command (npm run build), or --emloc "emloc-gpu/run emloc" (tools/gpu-bundle).
"""

import argparse
import json
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from classifier import load_classifier, traits_shown
from data import known_scenes, write_pictures
from folder import WEIGHTS, load
from png import grid, write_png
from safetensors.torch import load_file, save_file
from sampling import sampled_pictures
from tokens import PromptTokens
from toys import IN_WORDS, TRAITS
from world import BACKGROUNDS, with_article

HERE = Path(__file__).parent
PROMPT = 'a picture of sks toy'
SHOWN = ['--resolution', '96']
JOB = ['--rank', '16', '--alpha', '16', '--lr', '1e-3', '--batch', '4', '--grad-accum', '1']
JOB += ['--schedule', 'cosine', '--flip', '--noise-scheme', 'shift', '--prior-weight', '0.5']
MODULATION = r'.*transformer_blocks\.\d+\.norm.*'


class Comparison:
    def __init__(self, options: argparse.Namespace):
        self.options, self.work = options, options.work
        self.base, self.rows = HERE / 'model', []
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self.network = load_classifier().to(self.device)
        self.known, self.scenes = self.work / 'known', self.work / 'scenes'
        self.gather_known()
        write_pictures(self.scenes, known_scenes('scenes to score on', 64))

    def emloc(self, command: str, *args) -> dict:
        parts = [*shlex.split(self.options.emloc), command, *args, '--json']
        done = subprocess.run([str(part) for part in parts], stdout=subprocess.PIPE)
        # 3: the adapter is written, and worse than none; that is a row of the table, too.
        if done.returncode not in (0, 3):
            done.check_returncode()
        return json.loads(done.stdout)

    def tune(self, name: str, model: Path, *flags) -> Path:
        """The folder of the adapter."""
        adapter = self.work / name / 'adapter'
        places = ['--model', model, '--data', HERE / 'data/subject', '--out', adapter]
        places += ['--class-data', self.known, '--overwrite']
        settings = [*SHOWN, *JOB, '--seed', self.options.seed, '--device', self.options.device]
        self.emloc('tune', *places, *settings, *flags)
        return adapter

    def gather_known(self) -> None:
        """What is not to be forgotten: other toys, and anything, in one folder."""
        shutil.copytree(HERE / 'data/others', self.known, dirs_exist_ok=True)
        for file in (HERE / 'data/class').iterdir():
            shutil.copy(file, self.known / f'toy-{file.name}')

    def show(self, rows: list[tuple[str, str, Path | None]]) -> None:
        """Lines of the table: a name, a title, the adapter that the original has."""
        with ThreadPoolExecutor(self.options.jobs) as pool:
            scored = [pool.submit(self.scores, name, adapter) for name, _, adapter in rows]
            for (name, title, _), scores in zip(rows, scored):
                model, losses = scores.result()
                self.write(title, losses, self.shown(model, name, PROMPT))
                if model == self.base:
                    shown = self.shown(self.base, 'words', IN_WORDS)
                    self.write(f'{title}, told in words', [None, None], shown)

    def scores(self, name: str, adapter: Path | None) -> tuple[Path, list[float]]:
        """The merged model, and its losses."""
        model, flags = self.base, []
        if adapter is not None:
            model, flags = self.work / name / 'merged', ['--adapter', adapter]
            self.emloc('merge', '--model', self.base, *flags, '--out', model, '--overwrite')
        return model, [self.loss(folder, flags) for folder in (HERE / 'data/test', self.scenes)]

    def loss(self, folder: Path, flags: list) -> float:
        places = ['--model', self.base, *flags, '--data', folder]
        draws = ['--draws', self.options.draws, '--device', self.options.device]
        return self.emloc('eval', *places, *SHOWN, *draws)['loss']

    def shown(self, model: Path, name: str, prompt: str) -> list[Tensor]:
        """For each guidance how many traits each sample shows."""
        each = self.options.samples // len(BACKGROUNDS)
        prompts = [
            f'{prompt} on {with_article(behind)} background'
            for _ in range(each)
            for behind in BACKGROUNDS
        ]
        models, tokens, shown = load(model).to(self.device), PromptTokens(model), []
        for guidance in self.options.guidance:
            made = sampled_pictures(models, tokens, prompts, guidance=guidance, seed=2)
            pictures = made[:32].permute(0, 2, 3, 1).numpy()
            write_png(self.work / f'{name}-{guidance}.png', grid(pictures, 8))
            shown.append(traits_shown(self.network, made))
        return shown

    def write(self, title: str, losses: list[float | None], shown: list[Tensor]) -> None:
        loss, known = ('' if value is None else f'{value:.4f}' for value in losses)
        shares = [(traits == len(TRAITS)).float().mean().item() for traits in shown]
        cells = [title, loss, *(f'{100 * share:.0f} %' for share in shares)]
        cells += [f'{shown[-1].float().mean().item():.1f}', known]
        self.rows.append(f'| {" | ".join(cells)} |')
        print(self.rows[-1], flush=True)
        table = [*header(self.options.guidance), *self.rows, '']
        (self.work / 'table.md').write_text('\n'.join(table))

    def plain_svd(self, name: str, ours: Path) -> Path:
        """
        The original with the linears of our emulator truncated, each to the rank that it has there:
        plain LoRA on it is what training on the factors would be.
        """
        folder = self.work / name / 'emulator'
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


def header(guidance: list[float]) -> list[str]:
    shares = [f'subject, guidance {value:g}' for value in guidance]
    titles = ['way', 'loss', *shares, f'traits of {len(TRAITS)}', 'known']
    return [f'| {" | ".join(titles)} |', f'| --- |{" ---: |" * (len(titles) - 1)}']


def main(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    ways, ratio = Comparison(options), options.ratio
    print('\n'.join(header(options.guidance)), flush=True)
    at_once = ['--ratio', 1, '--steps', options.steps + options.refine_steps]
    steps = ['--ratio', ratio, '--steps', options.steps, '--refine-steps']
    whole = ['--ratio', f'{MODULATION}={ratio}', *steps, options.refine_steps]
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = {
            'full': at_once,
            'corrected': [*steps, 0],
            'ours': [*steps, options.refine_steps],
            'both': whole,
        }
        made = {
            name: pool.submit(ways.tune, name, ways.base, *flags) for name, flags in jobs.items()
        }
        for name, like in (('paper', 'both'), ('svd', 'ours')):
            emulator = ways.plain_svd(name, made[like].result())
            made[name] = pool.submit(ways.tune, name, emulator, *at_once)
        done = {name: job.result() for name, job in made.items()}
    ways.show(
        [
            ('base', 'base', None),
            ('full', 'LoRA on the whole model', done['full']),
            ('paper', 'plain SVD, modulation too, no correction', done['paper']),
            ('svd', 'plain SVD, no correction', done['svd']),
            ('early', 'ours, uncorrected', done['corrected'] / 'uncorrected'),
            ('corrected', 'ours, corrected', done['corrected']),
            ('ours', 'ours, corrected and refined', done['ours']),
            ('both-early', 'ours, modulation too, uncorrected', done['both'] / 'uncorrected'),
            ('both', 'ours, modulation too, corrected and refined', done['both']),
        ]
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--ratio', default='0.45')
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--refine-steps', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--draws', type=int, default=256, help='of a loss')
    parser.add_argument('--samples', type=int, default=64, help='a multiple of 8')
    parser.add_argument('--guidance', type=float, nargs='+', default=[1.0, 3.5])
    parser.add_argument('--jobs', type=int, default=1, help='of emloc at a time')
    parser.add_argument('--emloc', default=f'node {HERE / "../../tools/cli/bin/emloc.cjs"}')
    parser.add_argument('--device', default='auto', help='of emloc; PyTorch takes a card it finds')
    main(parser.parse_args())
