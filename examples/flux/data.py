"""
Writes the example's pictures: five of the subject to tune on, eight more of it to score on, twenty
of its class.

    python3 examples/flux/data.py [FOLDER]

FOLDER is `data` beside this file when none is given. Needs PyTorch.
"""

import sys
from pathlib import Path
from random import Random

import numpy as np
import torch

from draw import BOX, rendered
from png import write_png
from toys import SUBJECT, random_toy, toy_parts
from world import BACKGROUNDS, SIDE, Scene, filled, jittered, placed

BEHIND = ['white', 'blue', 'yellow', 'grey', 'pink']
ARMS = ['up', 'down', 'wave', 'up', 'down']
TEST_BEHIND = ['green', 'orange', 'purple', 'white', 'blue', 'yellow', 'grey', 'pink']


def portrait(random: Random, toy: dict, behind: str) -> Scene:
    colour = jittered(random, BACKGROUNDS[behind], 0.015)
    x, y = 0.5 + random.uniform(-0.12, 0.12), 0.5 + random.uniform(-0.05, 0.08)
    scale, tilt = random.uniform(0.23, 0.29), random.uniform(-0.13, 0.13)
    rows = placed(toy_parts(toy), x, y, scale, tilt)
    return Scene(filled([(BOX, 0.5, 0.5, 1, 1, 0, 0, *colour), *rows]), '')


def write_pictures(folder: Path, scenes: list[Scene]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    primitives = torch.from_numpy(np.stack([one.primitives for one in scenes]))
    for place, image in enumerate(rendered(primitives, SIDE)):
        write_png(folder / f'{place:02}.png', image.permute(1, 2, 0).numpy())


def write_data(folder: Path) -> None:
    random = Random('data of the example')
    subjects = [
        portrait(random, SUBJECT | {'arms': arms}, behind) for arms, behind in zip(ARMS, BEHIND)
    ]
    others = [
        portrait(random, random_toy(random), random.choice(list(BACKGROUNDS))) for _ in range(20)
    ]
    tests = [
        portrait(random, SUBJECT | {'arms': random.choice(ARMS)}, behind) for behind in TEST_BEHIND
    ]
    write_pictures(folder / 'subject', subjects)
    write_pictures(folder / 'test', tests)
    write_pictures(folder / 'class', others)


if __name__ == '__main__':
    write_data(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'data')
