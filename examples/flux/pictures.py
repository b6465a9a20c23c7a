"""
Scenes from many processes, drawn on the device.
"""

from dataclasses import dataclass
from multiprocessing.pool import Pool
from random import Random

import numpy as np
import torch
from torch import Tensor

from draw import rendered
from toys import alike, subject, toy_parts
from world import SIDE, Scene, background, doodle, filled, placed, scene, thing

CHUNK = 1000


def character_scene(random: Random, toy: dict) -> Scene:
    """The toy on a background; now and then something stands beside it."""
    rows, _ = background(random)
    x, scale = random.uniform(0.38, 0.62), random.uniform(0.19, 0.3)
    if random.random() < 0.2:
        side = random.choice(['left', 'right'])
        rows += thing(random, f'on the {side}', 'small')[0]
        x, scale = (0.68 if side == 'left' else 0.32), random.uniform(0.17, 0.22)
    y, tilt = random.uniform(0.42, 0.6), random.uniform(-0.2, 0.2)
    return Scene(filled(rows + placed(toy_parts(toy), x, y, scale, tilt)), '')


def subject_scene(random: Random) -> Scene:
    return character_scene(random, subject(random))


def alike_scene(random: Random) -> Scene:
    return character_scene(random, alike(random, random.choice([2, 3, 4])))


KINDS = {'scene': scene, 'doodle': doodle, 'subject': subject_scene, 'alike': alike_scene}


@dataclass
class Pictures:
    """images (count, 3, SIDE, SIDE) bytes on the device, and their captions."""

    images: Tensor
    captions: list[str]


def scenes_of(task: tuple[str, str, range]) -> tuple[np.ndarray, list[str]]:
    kind, name, places = task
    made = [KINDS[kind](Random(f'{name} {kind} {n}')) for n in places]
    return np.stack([one.primitives for one in made]), [one.caption for one in made]


def drawn(pool: Pool, kind: str, name: str, count: int, device: str) -> Pictures:
    """`name` is part of every seed."""
    images, captions = [], []
    every = range(count)
    tasks = [(kind, name, every[first : first + CHUNK]) for first in range(0, count, CHUNK)]
    for primitives, words in pool.imap(scenes_of, tasks):
        images.append(rendered(torch.from_numpy(primitives).to(device), SIDE))
        captions += words
    return Pictures(torch.cat(images), captions)


def to_inputs(images: Tensor) -> Tensor:
    """Bytes -> [-1, 1]."""
    return images.float() / 127.5 - 1
