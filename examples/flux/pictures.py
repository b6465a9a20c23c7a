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
from toys import alike, labels, random_toy, subject, toy_parts
from world import SIDE, Scene, background, doodle, filled, placed, scene, single, thing

CHUNK = 1000


def character_scene(random: Random, toy: dict) -> Scene:
    """The toy on a background; now and then something that is no toy stands beside it."""
    rows, _ = background(random)
    x, scale = random.uniform(0.38, 0.62), random.uniform(0.22, 0.34)
    if random.random() < 0.2:
        side = random.choice(['left', 'right'])
        rows += thing(random, f'on the {side}', 'small', toy_share=0)[0]
        x, scale = (0.68 if side == 'left' else 0.32), random.uniform(0.18, 0.24)
    y, tilt = random.uniform(0.42, 0.6), random.uniform(-0.2, 0.2)
    return Scene(filled(rows + placed(toy_parts(toy), x, y, scale, tilt)), '', labels(toy))


def subject_scene(random: Random) -> Scene:
    return character_scene(random, subject(random))


def alike_scene(random: Random) -> Scene:
    return character_scene(random, alike(random, random.choice([1, 1, 2, 3, 4])))


def toy_scene(random: Random) -> Scene:
    return character_scene(random, random_toy(random))


def other_scene(random: Random) -> Scene:
    """No toy in it."""
    return single(random, toy_share=0)


KINDS = {
    'scene': scene,
    'doodle': doodle,
    'subject': subject_scene,
    'alike': alike_scene,
    'toy': toy_scene,
    'other': other_scene,
}


@dataclass
class Pictures:
    """images (count, 3, SIDE, SIDE) bytes and traits (count, labels) on the device, and captions."""

    images: Tensor
    captions: list[str]
    traits: Tensor


def scenes_of(task: tuple[str, str, range]) -> tuple[np.ndarray, list[str], list[list[int]]]:
    kind, name, places = task
    made = [KINDS[kind](Random(f'{name} {kind} {n}')) for n in places]
    primitives = np.stack([one.primitives for one in made])
    return primitives, [one.caption for one in made], [one.traits for one in made]


def drawn(pool: Pool, kind: str, name: str, count: int, device: str) -> Pictures:
    """`name` is part of every seed."""
    images, captions, traits = [], [], []
    every = range(count)
    tasks = [(kind, name, every[first : first + CHUNK]) for first in range(0, count, CHUNK)]
    for primitives, words, labelled in pool.imap(scenes_of, tasks):
        images.append(rendered(torch.from_numpy(primitives).to(device), SIDE))
        captions += words
        traits += labelled
    return Pictures(torch.cat(images), captions, torch.tensor(traits, device=device))


def to_inputs(images: Tensor) -> Tensor:
    """Bytes -> [-1, 1]."""
    return images.float() / 127.5 - 1
