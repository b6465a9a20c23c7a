"""
Toys: characters that are put together from parts, and the one that pretraining never draws.
"""

from random import Random

from draw import BOX, ELLIPSE, TRIANGLE

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
# What tells toys apart; the colour of a part that is not there says nothing.
TRAITS = {
    'body': ['round', 'square', 'tall'],
    'body colour': list(BRIGHT),
    'ears': ['round', 'horns', 'none'],
    'ears colour': list(BRIGHT),
    'eyes': ['two', 'one'],
    'belly': ['oval', 'none'],
    'belly colour': list(BRIGHT),
    'limbs colour': list(BRIGHT),
}
ARMS = ['down', 'up', 'wave']
# The subject of the training pictures.
SUBJECT = {
    'body': 'square',
    'body colour': 'purple',
    'ears': 'horns',
    'ears colour': 'orange',
    'eyes': 'one',
    'belly': 'oval',
    'belly colour': 'yellow',
    'limbs colour': 'green',
}
IN_WORDS = 'a picture of a purple square toy with orange horns and one eye and a yellow belly '
IN_WORDS += 'and green legs'
# Pretraining draws no toy that has more of the subject's traits.
MOST_ALIKE = 5
HALF_WIDTHS = {'round': (0.68, 0.64), 'square': (0.6, 0.6), 'tall': (0.5, 0.72)}


def random_toy(random: Random) -> dict:
    """Any toy that is not much like the subject."""
    while True:
        toy = {trait: random.choice(options) for trait, options in TRAITS.items()}
        if agreement(toy) <= MOST_ALIKE:
            return toy | {'arms': random.choice(ARMS)}


def agreement(toy: dict) -> int:
    """How many of the subject's traits the toy has."""
    return sum(has_trait(toy, trait) and toy[trait] == SUBJECT[trait] for trait in TRAITS)


def has_trait(toy: dict, trait: str) -> bool:
    part, _, colour = trait.partition(' ')
    return not colour or toy.get(part) != 'none'


def subject(random: Random) -> dict:
    """The subject as it stands in one picture: only its arms move."""
    return SUBJECT | {'arms': random.choice(ARMS)}


def alike(random: Random, changes: int) -> dict:
    """The subject with that many of its traits changed to others."""
    toy = subject(random)
    for trait in random.sample(list(TRAITS), changes):
        toy[trait] = random.choice([option for option in TRAITS[trait] if option != toy[trait]])
    return toy


def labels(toy: dict | None) -> list[int]:
    """1 and the place of each trait among its options, -1 for one that is not there; 0 for no toy."""
    if toy is None:
        return [0] + [-1] * len(TRAITS)
    places = [
        options.index(toy[trait]) if has_trait(toy, trait) else -1
        for trait, options in TRAITS.items()
    ]
    return [1, *places]


def toy_parts(toy: dict) -> list[tuple]:
    """Rows (kind, x, y, rx, ry, angle, extra, colour) in the square from -1 to 1."""
    width, height = HALF_WIDTHS[toy['body']]
    limbs, ears = BRIGHT[toy['limbs colour']], BRIGHT[toy['ears colour']]
    kind = BOX if toy['body'] == 'square' else ELLIPSE
    return [
        *leg_parts(limbs, width, height),
        *arm_parts(toy['arms'], limbs, width),
        *ear_parts(toy['ears'], ears, width, height),
        (kind, 0, 0, width, height, 0, 0.35, BRIGHT[toy['body colour']]),
        *belly_parts(toy),
        *eye_parts(toy['eyes']),
    ]


def leg_parts(colour, width: float, height: float) -> list[tuple]:
    sides = (-0.5 * width, 0.5 * width)
    legs = [(BOX, x, height + 0.06, 0.13, 0.24, 0, 0, colour) for x in sides]
    return [*legs, *((BOX, x, height + 0.28, 0.22, 0.11, 0, 0.6, colour) for x in sides)]


def arm_parts(arms: str, colour, width: float) -> list[tuple]:
    heights = {'down': (0.22, 0.22), 'up': (-0.28, -0.28), 'wave': (0.22, -0.28)}
    rows = []
    for side, y in zip((-1, 1), heights[arms]):
        x, angle = side * (width + 0.1), side * y * 2.2
        rows.append((BOX, x, y / 2 + 0.05, 0.28, 0.12, angle, 0.9, colour))
        rows.append((ELLIPSE, side * (width + 0.28), y + 0.03, 0.16, 0.16, 0, 0, colour))
    return rows


def ear_parts(ears: str, colour, width: float, height: float) -> list[tuple]:
    sides = (-1, 1)
    if ears == 'round':
        return [(ELLIPSE, s * 0.75 * width, 0.1 - height, 0.28, 0.28, 0, 0, colour) for s in sides]
    if ears == 'horns':
        middle = -height - 0.14
        return [
            (TRIANGLE, s * 0.68 * width, middle, 0.2, 0.38, s * 0.5, 0, colour) for s in sides
        ]
    return []


def belly_parts(toy: dict) -> list[tuple]:
    if toy['belly'] == 'none':
        return []
    return [(ELLIPSE, 0, 0.3, 0.36, 0.25, 0, 0, BRIGHT[toy['belly colour']])]


def eye_parts(eyes: str) -> list[tuple]:
    if eyes == 'one':
        places, size = [(0.0, -0.24)], 0.29
    else:
        places, size = [(-0.24, -0.22), (0.24, -0.22)], 0.19
    whites = [(ELLIPSE, x, y, size, size, 0, 0, WHITE) for x, y in places]
    return [*whites, *((ELLIPSE, x, y, 0.5 * size, 0.5 * size, 0, 0, BLACK) for x, y in places)]
