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
from toys import ARMS, SUBJECT, random_toy, toy_parts
from world import BACKGROUNDS, SIDE, Scene, filled, jittered, placed, scene, with_article

BEHIND = ['white', 'blue', 'yellow', 'grey', 'pink']
STANDS = ['up', 'down', 'wave', 'up', 'down']
TEST_BEHIND = ['green', 'orange', 'purple', 'white', 'blue', 'yellow', 'grey', 'pink']


def portrait(random: Random, toy: dict, words: str, behind: str) -> Scene:
    """The toy in the middle; the caption names it by `words`, and the background."""
    colour = jittered(random, BACKGROUNDS[behind], 0.015)
    x, y = 0.5 + random.uniform(-0.05, 0.05), 0.52 + random.uniform(-0.04, 0.04)
    scale, tilt = random.uniform(0.28, 0.32), random.uniform(-0.1, 0.1)
    rows = placed(toy_parts(toy), x, y, scale, tilt)
    caption = f'a picture of {words} on {with_article(behind)} background'
    return Scene(filled([(BOX, 0.5, 0.5, 1, 1, 0, 0, *colour), *rows]), caption)


def known_scenes(name: str, count: int) -> list[Scene]:
    """Scenes of pretraining's kind; `name` is part of the seed."""
    random = Random(name)
    return [scene(random) for _ in range(count)]


def write_pictures(folder: Path, scenes: list[Scene]) -> None:
    """Beside a picture of a scene with a caption lies a file with it."""
    folder.mkdir(parents=True, exist_ok=True)
    primitives = torch.from_numpy(np.stack([one.primitives for one in scenes]))
    for place, image in enumerate(rendered(primitives, SIDE)):
        write_png(folder / f'{place:02}.png', image.permute(1, 2, 0).numpy())
        if scenes[place].caption:
            (folder / f'{place:02}.txt').write_text(scenes[place].caption + '\n')


def write_data(folder: Path) -> None:
    random, mine = Random('data of the example'), 'sks toy'
    subjects = [
        portrait(random, SUBJECT | {'arms': arms}, mine, behind)
        for arms, behind in zip(STANDS, BEHIND)
    ]
    backgrounds = list(BACKGROUNDS)
    toys = [
        portrait(random, random_toy(random), 'a toy', random.choice(backgrounds))
        for _ in range(20)
    ]
    tests = [
        portrait(random, SUBJECT | {'arms': random.choice(ARMS)}, mine, behind)
        for behind in TEST_BEHIND
    ]
    write_pictures(folder / 'subject', subjects)
    write_pictures(folder / 'test', tests)
    write_pictures(folder / 'others', known_scenes('others of the example', 40))
    write_pictures(folder / 'class', toys)


if __name__ == '__main__':
    write_data(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'data')
