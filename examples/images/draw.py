"""
Draws the pictures of this example: scenes of shapes, numbers and words, bar charts.

A picture is an array of palette indices (height, width), a palette of 16 RGB colours and the facts
that were drawn. Everything follows from the random.Random that is handed in.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np

import font

COLOURS = {
    'red': (214, 36, 40),
    'green': (40, 158, 60),
    'blue': (34, 84, 204),
    'yellow': (240, 206, 36),
    'orange': (244, 132, 28),
    'purple': (134, 52, 172),
    'pink': (246, 130, 186),
    'brown': (122, 76, 40),
}
NAMES = list(COLOURS)
BACKGROUNDS = [(255, 255, 255), (250, 246, 232), (236, 238, 242), (226, 238, 248), (240, 248, 232)]
BACKGROUND, INK, GRID, FIRST_COLOUR = 0, 1, 2, 3
KINDS = ['circle', 'square', 'triangle', 'diamond', 'cross', 'ring', 'star']
PLACES = [
    ['top left', 'top', 'top right'],
    ['left', 'center', 'right'],
    ['bottom left', 'bottom', 'bottom right'],
]
# A chart's values are whole numbers from 1 to this.
HIGHEST = 9


@dataclass
class Picture:
    """kind is shapes, number, word or chart; facts is a list of what is drawn, in reading order."""

    kind: str
    pixels: np.ndarray
    palette: np.ndarray
    facts: list


def palette(random: Random) -> np.ndarray:
    """(16, 3) bytes: background, ink, grid, the eight colours a little off their middle, black."""
    rows = [random.choice(BACKGROUNDS), (30, 30, 34), (190, 192, 198)]
    for colour in COLOURS.values():
        rows.append(tuple(min(255, max(0, part + random.randint(-10, 10))) for part in colour))
    return np.array(rows + [(0, 0, 0)] * (16 - len(rows)), np.uint8)


def colour_index(name: str) -> int:
    return FIRST_COLOUR + NAMES.index(name)


@lru_cache(maxsize=None)
def shape_mask(kind: str, radius: int) -> np.ndarray:
    """The shape as a boolean array of (2 radius + 1) squared pixels."""
    axis = np.arange(-radius, radius + 1) / (radius + 0.5)
    x, y = np.meshgrid(axis, axis)
    distance, longest = np.hypot(x, y), np.maximum(abs(x), abs(y))
    if kind == 'circle':
        return distance < 1
    if kind == 'ring':
        return (distance < 1) & (distance > 0.55)
    if kind == 'square':
        return longest < 0.86
    if kind == 'diamond':
        return abs(x) + abs(y) < 1
    if kind == 'cross':
        return (np.minimum(abs(x), abs(y)) < 0.32) & (longest < 0.98)
    if kind == 'triangle':
        return (y < 0.82) & (abs(x) < (y + 1) * 0.54)
    return _star(x, y)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    turn = 2 * np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + turn / 2) % turn - turn / 2)
    inner = 0.42
    # The edge from the tip (angle 0, radius 1) to the notch (angle turn / 2, radius inner).
    tip, notch = np.array([1.0, 0.0]), inner * np.array([np.cos(turn / 2), np.sin(turn / 2)])
    along = notch - tip
    px, py = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    return along[0] * (py - tip[1]) - along[1] * (px - tip[0]) > 0


def blank(size: tuple[int, int]) -> np.ndarray:
    return np.zeros((size[1], size[0]), np.uint8)


def draw_shapes(random: Random, size: tuple[int, int], counts: tuple[int, int] = (1, 6)) -> Picture:
    """Facts: {place, kind, colour, big} of each shape, at most one in each of the nine places."""
    width, height = size
    pixels, unit, facts = blank(size), min(size) / 112, []
    for cell in sorted(random.sample(range(9), random.randint(*counts))):
        row, column = divmod(cell, 3)
        big = random.random() < 0.5
        radius = round(unit * random.uniform(*((13.5, 16.5) if big else (6.5, 8.5))))
        fact = {
            'place': PLACES[row][column],
            'kind': random.choice(KINDS),
            'colour': random.choice(NAMES),
            'big': big,
        }
        slack = [max(0, length // 6 - radius - 1) for length in size]
        x = (2 * column + 1) * width // 6 + random.randint(-slack[0], slack[0])
        y = (2 * row + 1) * height // 6 + random.randint(-slack[1], slack[1])
        stamp(pixels, shape_mask(fact['kind'], radius), (x, y), colour_index(fact['colour']))
        facts.append(fact)
    return Picture('shapes', pixels, palette(random), facts)


def stamp(pixels: np.ndarray, mask: np.ndarray, centre: tuple[int, int], index: int) -> None:
    """Fills the mask around its centre, cut at the picture's border."""
    radius, (height, width) = mask.shape[0] // 2, pixels.shape
    left, top = centre[0] - radius, centre[1] - radius
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + mask.shape[1]), min(height, top + mask.shape[0])
    pixels[y0:y1, x0:x1][mask[y0 - top : y1 - top, x0 - left : x1 - left]] = index


def draw_text(random: Random, size: tuple[int, int], alphabet: str) -> Picture:
    """Facts: one {text, colour}: one to seven characters of the alphabet, as many as fit."""
    unit = max(1, min(size) // 112)
    scale = random.choice([2, 3, 3, 4]) * unit
    most = min(7, (size[0] - 6) // (font.ADVANCE * scale))
    text = ''.join(random.choice(alphabet) for _ in range(random.randint(1, max(1, most))))
    colour = random.choice(NAMES)
    pixels = blank(size)
    x = random.randint(2, size[0] - font.text_width(text, scale) - 2)
    y = random.randint(2, size[1] - font.HEIGHT * scale - 2)
    font.write(pixels, text, (x, y), (scale, colour_index(colour)))
    kind = 'number' if alphabet[0].isdigit() else 'word'
    return Picture(kind, pixels, palette(random), [{'text': text, 'colour': colour}])


def draw_chart(random: Random, size: tuple[int, int], counts: tuple[int, int] = (2, 5)) -> Picture:
    """Facts: {label, value, colour} of each bar from left to right; all three differ by bar."""
    width, height = size
    legend = width >= 1.5 * height and random.random() < 0.5
    count = random.randint(*counts)
    facts = [
        {'label': label, 'value': value, 'colour': colour}
        for label, value, colour in zip(
            random.sample(font.LETTERS[:12], count),
            random.sample(range(1, HIGHEST + 1), count),
            random.sample(NAMES, count),
        )
    ]
    pixels, scale = blank(size), 2 * max(1, min(size) // 112)
    space = (width - (12 * scale if legend else 0), height - 9 * scale - 1)
    _axis(pixels, space, scale)
    _bars(pixels, facts, space, None if legend else scale)
    if legend:
        _legend(pixels, facts, space[0], scale)
    return Picture('chart', pixels, palette(random), facts)


def _axis(pixels: np.ndarray, space: tuple[int, int], scale: int) -> None:
    """Grid lines at each value, stronger at 0 and 5, with the 5 written at the left."""
    right, floor = space
    step = (floor - 3) / HIGHEST
    for value in range(HIGHEST + 1):
        y = round(floor - value * step)
        pixels[y, 7 * scale : right] = INK if value % 5 == 0 else GRID
        if value == 5:
            font.write(pixels, '5', (scale, y - 3 * scale), (scale, INK))


def _bars(pixels: np.ndarray, facts: list, space: tuple[int, int], label: int | None) -> None:
    """Bars above the floor; label is the scale of the letters below them, None for no letters."""
    right, floor = space
    left = 14 if label is None else 7 * label
    step, slot = (floor - 3) / HIGHEST, (right - left) / len(facts)
    for place, fact in enumerate(facts):
        middle = left + (place + 0.5) * slot
        half = min(0.36 * slot, 14 * pixels.shape[0] / 112)
        top = round(floor - fact['value'] * step)
        columns = slice(round(middle - half), round(middle + half))
        pixels[top:floor, columns] = colour_index(fact['colour'])
        if label is not None:
            x = round(middle - font.WIDTH * label / 2)
            font.write(pixels, fact['label'], (x, floor + label + 1), (label, INK))


def _legend(pixels: np.ndarray, facts: list, left: int, scale: int) -> None:
    """A swatch and a letter for each bar, one below the other at the right."""
    for place, fact in enumerate(facts):
        y = (2 + 9 * place) * scale
        pixels[y : y + 5 * scale, left + scale : left + 5 * scale] = colour_index(fact['colour'])
        font.write(pixels, fact['label'], (left + 6 * scale, y - scale), (scale, INK))


def draw(random: Random, size: tuple[int, int], kind: str) -> Picture:
    """A picture of the kind shapes, number, word or chart, of size (width, height)."""
    if kind == 'shapes':
        return draw_shapes(random, size)
    if kind == 'chart':
        return draw_chart(random, size)
    return draw_text(random, size, '0123456789' if kind == 'number' else font.LETTERS)
