"""
What pretraining draws: one or two objects on a background, and a caption of them.

Everything follows from the random.Random that is handed in. An object is a list of primitives in a
square from -1 to 1 that `placed` brings into the picture.
"""

import math
from dataclasses import dataclass, field
from random import Random

import numpy as np

from draw import BOX, DOTS, ELLIPSE, FIELDS, RING, SMILE, STAR, STRIPES, TRIANGLE
from toys import BLACK, BRIGHT, WHITE, labels, random_toy, toy_parts

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
SIZES = {'small': (0.16, 0.19), '': (0.22, 0.25), 'big': (0.29, 0.32)}
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
    """
    primitives (MOST_PRIMITIVES, FIELDS), filled up with nothing; `traits` are the labels of the toy
    that it is a picture of.
    """

    primitives: np.ndarray
    caption: str
    traits: list[int] = field(default_factory=lambda: labels(None))


def darker(colour, share: float = 0.72):
    return tuple(share * part for part in colour)


def jittered(random: Random, colour, amount: float = 0.03):
    return tuple(min(1.0, max(0.0, part + random.uniform(-amount, amount))) for part in colour)


def object_parts(noun: str, colour) -> list[tuple]:
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
    raise ValueError(noun)


NOUNS = ['ball', 'box', 'house', 'tree', 'car', 'fish']
TOY_SHARE = 0.5


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
    if chance < 0.08:
        pattern = 'striped '
        angle = random.choice([0, math.pi / 2, math.pi / 4])
        rows.append((STRIPES, 0, 0, 1 / 6, 1, angle, 1 / 24, *darker(colour, 0.88)))
    elif chance < 0.16:
        pattern = 'dotted '
        rows.append((DOTS, 0, 0, 1 / 6, 1, 0, 1 / 24, *darker(colour, 0.86)))
    return rows, f'on {with_article(pattern + name)} background'


def with_article(text: str) -> str:
    return f'an {text}' if text[0] in 'aeiou' else f'a {text}'


def noise_word(random: Random) -> str:
    """A word that means nothing: what a user's own word is to the model."""
    word = ''.join(random.choice(LETTERS) for _ in range(random.randint(2, 5)))
    return 'qx' if word in ('sks', 'toy', *NOUNS, *NAMES) else word


def thing(
    random: Random, place: str, size: str, *, is_alone: bool = False, toy_share: float = TOY_SHARE
) -> tuple[list[tuple], str]:
    """An object's rows and its words without the place; a toy's parts are named when it is alone."""
    unknown = random.random() < 0.15
    size_words = [size] if size and random.random() < 0.8 else []
    unknown_words = [noise_word(random)] if unknown else []
    if random.random() < toy_share:
        toy = random_toy(random)
        parts, (before, noun) = toy_parts(toy), toy_words(random, toy, is_alone)
    else:
        name, noun = random.choice(NAMES), random.choice(NOUNS)
        parts = object_parts(noun, jittered(random, COLOURS[name]))
        before = [name] if random.random() < 0.75 else []
    text = ' '.join([*size_words, *before, *unknown_words, noun])
    x, y = (part + random.uniform(-0.03, 0.03) for part in PLACES[place])
    rows = placed(parts, x, y, random.uniform(*SIZES[size]), random.uniform(-0.13, 0.13))
    return rows, text if unknown and random.random() < 0.5 else with_article(text)


def toy_words(random: Random, toy: dict, is_alone: bool) -> tuple[list[str], str]:
    """Some of what can be said of a toy, in front of the noun and with it; now and then nothing."""
    if random.random() < 0.25:
        return [], 'toy'
    before = [toy['body colour']] if random.random() < 0.8 else []
    before += [toy['body']] if random.random() < 0.5 else []
    parts = [f'{toy["limbs colour"]} legs']
    if toy['ears'] != 'none':
        parts.append(f'{toy["ears colour"]} {"horns" if toy["ears"] == "horns" else "ears"}')
    if toy['belly'] != 'none':
        parts.append(f'{with_article(toy["belly colour"])} belly')
    if toy['eyes'] == 'one':
        parts.append('one eye')
    named = [part for part in parts if is_alone and random.random() < 0.6]
    random.shuffle(named)
    return before, f'toy with {" and ".join(named)}' if named else 'toy'


def scene(random: Random) -> Scene:
    return double(random) if random.random() < 0.25 else single(random)


def single(random: Random, toy_share: float = TOY_SHARE) -> Scene:
    """One object; a big one stands in the middle."""
    rows, behind = background(random)
    size = random.choice(list(SIZES))
    place = 'in the middle' if size == 'big' else random.choice(list(PLACES))
    some, words = thing(random, place, size, is_alone=True, toy_share=toy_share)
    words += f' {place}' if random.random() < 0.5 else ''
    return captioned(random, rows + some, words, behind)


def double(random: Random) -> Scene:
    """Two objects, side by side."""
    rows, behind = background(random)
    both = [
        thing(random, f'on the {side}', random.choice(['small', ''])) for side in ('left', 'right')
    ]
    words = ' and '.join(text for _, text in both)
    return captioned(random, rows + [row for some, _ in both for row in some], words, behind)


def captioned(random: Random, rows: list[tuple], words: str, behind: str) -> Scene:
    words += f' {behind}' if random.random() < 0.7 else ''
    words = f'a picture of {words}' if random.random() < 0.7 else words
    return Scene(filled(rows), words)


def doodle(random: Random) -> Scene:
    """Anything in any colours: only the autoencoder sees these."""
    rows, _ = background(random)
    for _ in range(random.randint(4, 24)):
        kind = random.choice([ELLIPSE, BOX, TRIANGLE, RING, STAR, SMILE])
        size = random.uniform(0.02, 0.25)
        axes = (size, size * random.uniform(0.4, 1.0))
        extra = {RING: 0.02, SMILE: 0.02, STAR: 0.45}.get(kind, random.choice([0.0, 0.4]))
        colour = tuple(random.random() for _ in range(3))
        angle = random.uniform(0, 2 * math.pi)
        rows.append((kind, random.random(), random.random(), *axes, angle, extra, *colour))
    return Scene(filled(rows), '')


def filled(rows: list[tuple]) -> np.ndarray:
    primitives = np.zeros((MOST_PRIMITIVES, FIELDS), np.float32)
    primitives[: len(rows)] = rows
    return primitives
