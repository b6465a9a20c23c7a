"""
What pretraining draws: one or two objects on a background, and a caption of them.

Everything follows from the random.Random that is handed in. An object is a list of primitives in a
square from -1 to 1 that `placed` brings into the picture.
"""

import math
from dataclasses import dataclass
from random import Random

import numpy as np

from draw import BOX, DOTS, ELLIPSE, FIELDS, RING, SMILE, STRIPES, TRIANGLE
from draw import STAR as STAR_KIND
from toys import BLACK, BRIGHT, WHITE, random_toy, toy_parts

SIDE = 96
MOST_PRIMITIVES = 48
COLOURS = {**BRIGHT, 'white': WHITE, 'black': BLACK}
NAMES = list(COLOURS)
BACKGROUNDS = {
    'white': (0.99, 0.99, 0.99),
    'grey': (0.74, 0.75, 0.77),
    'blue': (0.66, 0.80, 0.95),
    'green': (0.72, 0.89, 0.68),
    'yellow': (0.98, 0.94, 0.66),
    'pink': (0.98, 0.81, 0.87),
    'orange': (0.99, 0.83, 0.64),
    'purple': (0.83, 0.77, 0.94),
}
SIZES = {'small': (0.14, 0.17), '': (0.18, 0.22), 'big': (0.25, 0.29)}
PLACES = {
    'on the left': (0.29, 0.5),
    'on the right': (0.71, 0.5),
    'at the top': (0.5, 0.29),
    'at the bottom': (0.5, 0.71),
    'in the middle': (0.5, 0.5),
}
LETTERS = 'abcdefghijklmnopqrstuvwxyz'


@dataclass
class Scene:
    """primitives (MOST_PRIMITIVES, FIELDS), filled up with nothing."""

    primitives: np.ndarray
    caption: str


def darker(colour, share: float = 0.72):
    return tuple(share * part for part in colour)


def jittered(random: Random, colour, amount: float = 0.03):
    return tuple(min(1.0, max(0.0, part + random.uniform(-amount, amount))) for part in colour)


def object_parts(noun: str, random: Random, colour) -> list[tuple]:
    """Rows (kind, x, y, rx, ry, angle, extra, colour) in the square from -1 to 1."""
    dark, white, black = darker(colour), (0.97, 0.97, 0.97), (0.1, 0.1, 0.12)
    wood = COLOURS['brown']
    if noun == 'ball':
        return [
            (ELLIPSE, 0, 0, 0.95, 0.95, 0, 0, colour),
            (ELLIPSE, -0.35, -0.38, 0.22, 0.16, 0.7, 0, white),
            (SMILE, 0, 0, 0.72, 0.72, 0.2, 0.05, dark),
        ]
    if noun == 'box':
        return [
            (BOX, 0, 0.1, 0.9, 0.8, 0, 0.1, colour),
            (BOX, 0, -0.5, 1.0, 0.26, 0, 0.2, dark),
            (BOX, 0, 0.2, 0.16, 0.7, 0, 0, dark),
        ]
    if noun == 'star':
        return [(STAR_KIND, 0, 0.05, 1.05, 1.05, 0, 0.45, colour)]
    if noun == 'house':
        return [
            (BOX, 0, 0.4, 0.72, 0.58, 0, 0, colour),
            (TRIANGLE, 0, -0.55, 1.0, 0.42, 0, 0, dark),
            (BOX, 0.25, 0.6, 0.18, 0.38, 0, 0, wood),
            (BOX, -0.3, 0.3, 0.2, 0.18, 0, 0, white),
        ]
    if noun == 'tree':
        return [
            (BOX, 0, 0.6, 0.16, 0.4, 0, 0, wood),
            (TRIANGLE, 0, 0.0, 0.8, 0.42, 0, 0, colour),
            (TRIANGLE, 0, -0.5, 0.6, 0.45, 0, 0, dark),
        ]
    if noun == 'car':
        return [
            (BOX, -0.05, -0.2, 0.55, 0.35, 0, 0.5, colour),
            (BOX, -0.05, -0.2, 0.4, 0.2, 0, 0.3, white),
            (BOX, 0, 0.2, 1.0, 0.3, 0, 0.5, colour),
            (ELLIPSE, -0.5, 0.5, 0.25, 0.25, 0, 0, black),
            (ELLIPSE, 0.5, 0.5, 0.25, 0.25, 0, 0, black),
        ]
    if noun == 'fish':
        return [
            (TRIANGLE, 0.75, 0, 0.45, 0.3, -math.pi / 2, 0, dark),
            (ELLIPSE, -0.15, 0, 0.75, 0.48, 0, 0, colour),
            (ELLIPSE, -0.5, -0.1, 0.12, 0.12, 0, 0, white),
            (ELLIPSE, -0.52, -0.1, 0.06, 0.06, 0, 0, black),
        ]
    if noun == 'flower':
        stem = [(BOX, 0, 0.55, 0.07, 0.45, 0, 0, COLOURS['green'])]
        turns = [2 * math.pi * n / 5 for n in range(5)]
        petals = [
            (ELLIPSE, 0.38 * math.sin(t), -0.35 - 0.38 * math.cos(t), 0.27, 0.27, 0, 0, colour)
            for t in turns
        ]
        return [*stem, *petals, (ELLIPSE, 0, -0.35, 0.24, 0.24, 0, 0, COLOURS['yellow'])]
    if noun == 'mushroom':
        return [
            (BOX, 0, 0.4, 0.3, 0.55, 0, 0.5, (0.95, 0.9, 0.8)),
            (ELLIPSE, 0, -0.25, 0.95, 0.6, 0, 0, colour),
            (ELLIPSE, -0.4, -0.3, 0.16, 0.13, 0, 0, white),
            (ELLIPSE, 0.3, -0.45, 0.14, 0.12, 0, 0, white),
            (ELLIPSE, 0.15, -0.05, 0.13, 0.1, 0, 0, white),
        ]
    if noun == 'cup':
        return [
            (RING, 0.65, 0.0, 0.3, 0.35, 0, 0.1, colour),
            (BOX, 0, 0.05, 0.65, 0.75, 0, 0.25, colour),
            (ELLIPSE, 0, -0.65, 0.65, 0.18, 0, 0, dark),
        ]
    if noun == 'boat':
        return [
            (BOX, 0, -0.2, 0.05, 0.75, 0, 0, wood),
            (TRIANGLE, 0.38, -0.3, 0.38, 0.55, 0, 0, white),
            (BOX, 0, 0.55, 0.6, 0.28, 0, 0.5, colour),
            (TRIANGLE, 0, 0.45, 0.95, 0.35, math.pi, 0, colour),
        ]
    toy = random_toy(random)
    return toy_parts(toy | {'body colour': colour})


NOUNS = ['ball', 'box', 'star', 'house', 'tree', 'car', 'fish', 'flower', 'mushroom', 'cup', 'boat']


def placed(parts: list[tuple], x: float, y: float, scale: float, tilt: float) -> list[tuple]:
    cos, sin, rows = math.cos(tilt), math.sin(tilt), []
    for kind, px, py, rx, ry, angle, extra, colour in parts:
        thick = scale * extra if kind in (RING, SMILE) else extra
        middle = (x + scale * (px * cos - py * sin), y + scale * (px * sin + py * cos))
        rows.append((kind, *middle, scale * rx, scale * ry, angle + tilt, thick, *colour))
    return rows


def background(random: Random) -> tuple[list[tuple], str]:
    name = random.choice(list(BACKGROUNDS))
    colour = jittered(random, BACKGROUNDS[name], 0.015)
    rows, pattern = [(BOX, 0.5, 0.5, 1, 1, 0, 0, *colour)], ''
    chance = random.random()
    if chance < 0.15:
        pattern = 'striped '
        angle = random.choice([0, math.pi / 2, math.pi / 4])
        rows.append((STRIPES, 0, 0, 1 / 6, 1, angle, 1 / 24, *darker(colour, 0.88)))
    elif chance < 0.3:
        pattern = 'dotted '
        rows.append((DOTS, 0, 0, 1 / 6, 1, 0, 1 / 24, *darker(colour, 0.86)))
    return rows, f'on {with_article(pattern + name)} background'


def with_article(text: str) -> str:
    return f'an {text}' if text[0] in 'aeiou' else f'a {text}'


def noise_word(random: Random) -> str:
    """A word that means nothing: what a user's own word is to the model."""
    word = ''.join(random.choice(LETTERS) for _ in range(random.randint(2, 5)))
    return 'qx' if word in ('sks', 'toy', *NOUNS, *NAMES) else word


def thing(random: Random, place: str, size: str) -> tuple[list[tuple], str]:
    """An object's rows and its words without the place."""
    noun = 'toy' if random.random() < 0.42 else random.choice(NOUNS)
    name = random.choice(NAMES)
    parts = object_parts(noun, random, jittered(random, COLOURS[name]))
    x, y = (part + random.uniform(-0.045, 0.045) for part in PLACES[place])
    scale = random.uniform(*SIZES[size])
    rows = placed(parts, x, y, scale, random.uniform(-0.16, 0.16))
    words = [size] if size and random.random() < 0.8 else []
    words += [name] if random.random() < 0.75 else []
    unknown = random.random() < 0.12
    words += [noise_word(random)] if unknown else []
    text = ' '.join([*words, noun])
    return rows, text if unknown and random.random() < 0.5 else with_article(text)


def scene(random: Random) -> Scene:
    rows, behind = background(random)
    if random.random() < 0.3:
        sides = [
            thing(random, f'on the {side}', random.choice(['small', '']))
            for side in ('left', 'right')
        ]
        words = ' and '.join(text for _, text in sides)
        rows += [row for some, _ in sides for row in some]
    else:
        place, size = random.choice(list(PLACES)), random.choice(list(SIZES))
        some, words = thing(random, place, size)
        rows += some
        words += f' {place}' if random.random() < 0.5 else ''
    words += f' {behind}' if random.random() < 0.6 else ''
    words = f'a picture of {words}' if random.random() < 0.7 else words
    return Scene(filled(rows), words)


def doodle(random: Random) -> Scene:
    """Anything in any colours: only the autoencoder sees these."""
    rows, _ = background(random)
    for _ in range(random.randint(4, 24)):
        kind = random.choice([ELLIPSE, BOX, TRIANGLE, RING, STAR_KIND, SMILE])
        size = random.uniform(0.02, 0.25)
        axes = (size, size * random.uniform(0.4, 1.0))
        extra = {RING: 0.02, SMILE: 0.02, STAR_KIND: 0.45}.get(kind, random.choice([0.0, 0.4]))
        colour = tuple(random.random() for _ in range(3))
        angle = random.uniform(0, 2 * math.pi)
        rows.append((kind, random.random(), random.random(), *axes, angle, extra, *colour))
    return Scene(filled(rows), '')


def filled(rows: list[tuple]) -> np.ndarray:
    primitives = np.zeros((MOST_PRIMITIVES, FIELDS), np.float32)
    primitives[: len(rows)] = rows
    return primitives
