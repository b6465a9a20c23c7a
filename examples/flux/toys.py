"""
Toys: characters that are put together from parts, and the one that pretraining never draws.
"""

from random import Random

from draw import BOX, ELLIPSE, SMILE, STAR, TRIANGLE

BRIGHT = {
    'red': (0.85, 0.14, 0.16),
    'orange': (0.96, 0.53, 0.10),
    'yellow': (0.96, 0.83, 0.15),
    'green': (0.16, 0.62, 0.24),
    'blue': (0.13, 0.33, 0.82),
    'purple': (0.52, 0.20, 0.68),
    'pink': (0.96, 0.50, 0.72),
    'brown': (0.48, 0.30, 0.16),
}
WHITE, BLACK = (0.97, 0.97, 0.97), (0.1, 0.1, 0.12)
CHOICES = {
    'body': ['round', 'square', 'egg', 'wide'],
    'ears': ['round', 'pointed', 'antennae', 'horns', 'none'],
    'eyes': ['two', 'two', 'two', 'two', 'one'],
    'belly': ['oval', 'square', 'none'],
    'arms': ['down', 'up', 'wave', 'none'],
    'feet': ['round', 'legs', 'none'],
    'mouth': ['smile', 'flat', 'none'],
}
COLOURED = ('body', 'ears', 'belly', 'arms', 'feet')
# The subject of the training pictures. A star on the belly is its own.
SUBJECT = {
    'body': 'square',
    'ears': 'horns',
    'eyes': 'one',
    'belly': 'star',
    'arms': 'up',
    'feet': 'legs',
    'mouth': 'smile',
    'body colour': BRIGHT['purple'],
    'ears colour': BRIGHT['orange'],
    'belly colour': BRIGHT['yellow'],
    'arms colour': BRIGHT['green'],
    'feet colour': BRIGHT['red'],
}
HALF_WIDTHS = {
    'round': (0.62, 0.62),
    'square': (0.56, 0.58),
    'egg': (0.5, 0.68),
    'wide': (0.7, 0.5),
}


def random_toy(random: Random) -> dict:
    toy = {part: random.choice(options) for part, options in CHOICES.items()}
    return toy | {f'{part} colour': random.choice(list(BRIGHT.values())) for part in COLOURED}


def subject(random: Random) -> dict:
    """The subject as it stands in one picture: only its arms move."""
    return SUBJECT | {'arms': random.choice(['down', 'up', 'wave'])}


def alike(random: Random, changes: int) -> dict:
    """The subject with that many of its traits changed to others."""
    traits = [
        part for part in (*CHOICES, *(f'{part} colour' for part in COLOURED)) if part != 'arms'
    ]
    toy = subject(random)
    for trait in random.sample(traits, changes):
        options = CHOICES.get(trait, list(BRIGHT.values()))
        toy[trait] = random.choice([option for option in options if option != toy[trait]])
    return toy


def toy_parts(toy: dict) -> list[tuple]:
    """Rows (kind, x, y, rx, ry, angle, extra, colour) in the square from -1 to 1."""
    width, height = HALF_WIDTHS[toy['body']]
    return [
        *feet_parts(toy, width, height),
        *arm_parts(toy, width),
        *ear_parts(toy, width, height),
        body_part(toy, width, height),
        *belly_parts(toy),
        *eye_parts(toy),
        *mouth_parts(toy),
    ]


def body_part(toy: dict, width: float, height: float) -> tuple:
    kind = BOX if toy['body'] in ('square', 'wide') else ELLIPSE
    return (kind, 0, 0, width, height, 0, 0.35, toy['body colour'])


def feet_parts(toy: dict, width: float, height: float) -> list[tuple]:
    colour, sides = toy['feet colour'], (-0.55 * width, 0.55 * width)
    if toy['feet'] == 'round':
        return [(ELLIPSE, x, height + 0.06, 0.24, 0.16, 0, 0, colour) for x in sides]
    if toy['feet'] == 'legs':
        legs = [(BOX, x, height + 0.12, 0.1, 0.24, 0, 0, colour) for x in sides]
        return [*legs, *((BOX, x, height + 0.32, 0.2, 0.09, 0, 0.6, colour) for x in sides)]
    return []


def arm_parts(toy: dict, width: float) -> list[tuple]:
    heights = {'down': (0.22, 0.22), 'up': (-0.28, -0.28), 'wave': (0.22, -0.28), 'none': ()}
    return [
        part
        for side, y in zip((-1, 1), heights[toy['arms']])
        for part in (
            (
                BOX,
                side * (width + 0.1),
                y / 2 + 0.05,
                0.26,
                0.1,
                side * y * 2.2,
                0.9,
                toy['arms colour'],
            ),
            (ELLIPSE, side * (width + 0.28), y + 0.03, 0.13, 0.13, 0, 0, toy['arms colour']),
        )
    ]


def ear_parts(toy: dict, width: float, height: float) -> list[tuple]:
    colour, sides, top = toy['ears colour'], (-1, 1), -height
    if toy['ears'] == 'round':
        return [(ELLIPSE, s * 0.75 * width, top + 0.08, 0.24, 0.24, 0, 0, colour) for s in sides]
    if toy['ears'] == 'pointed':
        return [
            (TRIANGLE, s * 0.6 * width, top - 0.08, 0.2, 0.26, s * 0.35, 0, colour) for s in sides
        ]
    if toy['ears'] == 'horns':
        return [
            (TRIANGLE, s * 0.7 * width, top - 0.16, 0.13, 0.36, s * 0.5, 0, colour) for s in sides
        ]
    if toy['ears'] == 'antennae':
        sticks = [(BOX, s * 0.4 * width, top - 0.1, 0.05, 0.24, s * 0.3, 0, colour) for s in sides]
        return [
            *sticks,
            *((ELLIPSE, s * 0.55 * width, top - 0.3, 0.12, 0.12, 0, 0, colour) for s in sides),
        ]
    return []


def belly_parts(toy: dict) -> list[tuple]:
    colour = toy['belly colour']
    shapes = {
        'oval': [(ELLIPSE, 0, 0.26, 0.3, 0.24, 0, 0, colour)],
        'square': [(BOX, 0, 0.27, 0.26, 0.2, 0, 0.2, colour)],
        'star': [(STAR, 0, 0.29, 0.31, 0.31, 0, 0.48, colour)],
        'none': [],
    }
    return shapes[toy['belly']]


def eye_parts(toy: dict) -> list[tuple]:
    if toy['eyes'] == 'one':
        places, size = [(0.0, -0.25)], 0.27
    else:
        places, size = [(-0.22, -0.25), (0.22, -0.25)], 0.16
    whites = [(ELLIPSE, x, y, size, size, 0, 0, WHITE) for x, y in places]
    return [*whites, *((ELLIPSE, x, y, 0.5 * size, 0.5 * size, 0, 0, BLACK) for x, y in places)]


def mouth_parts(toy: dict) -> list[tuple]:
    if toy['mouth'] == 'smile':
        return [(SMILE, 0, -0.02, 0.2, 0.12, 0, 0.035, BLACK)]
    if toy['mouth'] == 'flat':
        return [(BOX, 0, 0.05, 0.18, 0.035, 0, 0, BLACK)]
    return []
