"""Batches of pictures with questions, drawn by worker processes without end."""

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path
from queue import Full
from random import Random

import numpy as np
from tokenizers import Tokenizer

from draw import Picture, draw
from questions import ask
from tokens import CONTEXT, END_OF_IMAGE, END_OF_TURN, IMAGE, MOST_TILES, TILE, TOKENS_PER_TILE

# (width, height) of a batch's pictures, and how often: whole tiles and sizes that are resized.
SIZES = {
    (112, 112): 46,
    (128, 128): 8,
    (96, 96): 6,
    (140, 120): 6,
    (224, 112): 14,
    (112, 224): 4,
    (224, 224): 8,
    (336, 112): 4,
    (300, 140): 4,
}
PICTURES = {'shapes': 34, 'number': 16, 'word': 10, 'chart': 40}
IGNORED = -100


@dataclass
class Batch:
    """
    pixels (rows, height, width) palette indices, palettes (rows, 16, 3), ids and targets (rows,
    length), padded at the right; targets are IGNORED where nothing is trained on. kinds names each
    row's picture.
    """

    pixels: np.ndarray
    palettes: np.ndarray
    ids: np.ndarray
    targets: np.ndarray
    kinds: list[str]


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles, by the nearest aspect ratio; of a tie the larger if it fills."""
    grids = [(w, h) for w in range(1, MOST_TILES + 1) for h in range(1, MOST_TILES + 1)]
    best, least = (1, 1), float('inf')
    for w, h in sorted((g for g in grids if g[0] * g[1] <= MOST_TILES), key=lambda g: g[0] * g[1]):
        off = abs(width / height - w / h)
        if off < least or (off == least and width * height > 0.5 * TILE * TILE * w * h):
            best, least = (w, h), off
    return best


def tiles_of(width: int, height: int) -> int:
    """Tiles of a picture with its thumbnail, which a single tile does not get."""
    columns, rows = grid_of(width, height)
    return columns * rows + (columns * rows > 1)


class RowEncoder:
    """Turns question and answer pairs about one picture into ids and targets."""

    def __init__(self, tokenizer: Tokenizer):
        self.encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        self.memory: dict[str, list[int]] = {}

    def ids_of(self, text: str) -> list[int]:
        if text not in self.memory and len(self.memory) < 200_000:
            self.memory[text] = self.encode(text)
        return self.memory.get(text) or self.encode(text)

    def row(self, pairs: list[tuple[str, str]], tiles: int) -> tuple[list[int], list[int]]:
        """Trained on: the answers and their end of turn."""
        ids, targets = [], []
        lead = f'{IMAGE}{CONTEXT * (TOKENS_PER_TILE * tiles)}{END_OF_IMAGE}\n'
        for place, (question, answer) in enumerate(pairs):
            for prompt in ['<|im_start|>user\n' + (lead if place == 0 else ''), question]:
                ids += self.ids_of(prompt)
            ids += self.ids_of('<|im_end|>\n<|im_start|>assistant\n')
            targets += [IGNORED] * (len(ids) - len(targets))
            ids += self.ids_of(answer) + self.ids_of(END_OF_TURN)
            targets += ids[len(targets) :]
            ids += self.ids_of('\n')
            targets.append(IGNORED)
        return ids, targets


def batch_of(encoder: RowEncoder, pictures: list[Picture], pairs: list[list]) -> Batch:
    """A batch of pictures of one size; pairs holds the questions of each."""
    height, width = pictures[0].pixels.shape
    rows = [encoder.row(asked, tiles_of(width, height)) for asked in pairs]
    length = -(-max(len(ids) for ids, _ in rows) // 16) * 16
    ids = np.zeros((len(rows), length), np.int64)
    targets = np.full((len(rows), length), IGNORED, np.int64)
    for place, (row, wanted) in enumerate(rows):
        ids[place, : len(row)], targets[place, : len(row)] = row, wanted
    return Batch(
        np.stack([picture.pixels for picture in pictures]),
        np.stack([picture.palette for picture in pictures]),
        ids,
        targets,
        [picture.kind for picture in pictures],
    )


def drawn_batch(random: Random, encoder: RowEncoder, rows: int, questions: int) -> Batch:
    """A batch of one size for pretraining, with up to so many questions a picture."""
    size = random.choices(list(SIZES), list(SIZES.values()))[0]
    kinds = random.choices(list(PICTURES), list(PICTURES.values()), k=rows)
    pictures = [draw(random, size, kind) for kind in kinds]
    count = random.randint(1, questions)
    return batch_of(encoder, pictures, [ask(random, picture, count) for picture in pictures])


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / 'tokenizer.json'))


def start_workers(folder: Path, rows: int, workers: int) -> multiprocessing.Queue:
    """
    A queue that the workers, which end soon after this process, keep filled. They are forked, so
    that they import nothing again: start them before the accelerator is touched.
    """
    context = multiprocessing.get_context('fork')
    queue = context.Queue(2 * workers)
    for worker in range(workers):
        args = (queue, folder, rows, worker)
        context.Process(target=_fill, args=args, daemon=True).start()
    return queue


def _fill(queue: multiprocessing.Queue, folder: Path, rows: int, worker: int) -> None:
    random, encoder = Random(f'pretraining {worker}'), RowEncoder(load_tokenizer(folder))
    parent = os.getppid()
    while os.getppid() == parent:
        batch = drawn_batch(random, encoder, rows, 5)
        while os.getppid() == parent:
            try:
                queue.put(batch, timeout=2)
                break
            except Full:
                continue
    os._exit(0)
