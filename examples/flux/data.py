"""
Writes the example's pictures: five of the subject to tune on, eight more of it to score on, twenty
of its class, and forty of anything with captions, so that none of it is forgotten.

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
from world import BACKGROUNDS, SIDE, Scene, filled, jittered, placed, scene

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
    """Beside a picture of a scene with a caption lies a file with it."""
    folder.mkdir(parents=True, exist_ok=True)
    primitives = torch.from_numpy(np.stack([one.primitives for one in scenes]))
    for place, image in enumerate(rendered(primitives, SIDE)):
        write_png(folder / f'{place:02}.png', image.permute(1, 2, 0).numpy())
        if scenes[place].caption:
            (folder / f'{place:02}.txt').write_text(scenes[place].caption + '\n')


def write_data(folder: Path) -> None:
    random = Random('data of the example')
    subjects = [
        portrait(random, SUBJECT | {'arms': arms}, behind) for arms, behind in zip(ARMS, BEHIND)
    ]
    toys = [
        portrait(random, random_toy(random), random.choice(list(BACKGROUNDS))) for _ in range(20)
    ]
    tests = [
        portrait(random, SUBJECT | {'arms': random.choice(ARMS)}, behind) for behind in TEST_BEHIND
    ]
    write_pictures(folder / 'subject', subjects)
    write_pictures(folder / 'test', tests)
    anything = Random('others of the example')
    write_pictures(folder / 'others', [scene(anything) for _ in range(40)])
    write_pictures(folder / 'class', toys)


if __name__ == '__main__':
    write_data(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'data')
