"""A 5 x 7 bitmap font of digits and capital letters, drawn for this example."""

from functools import lru_cache

import numpy as np

WIDTH = 5
HEIGHT = 7
ADVANCE = WIDTH + 1

# One glyph is seven rows of five bits, written as hexadecimal pairs, the leftmost pixel highest.
_ROWS = {
    '0': '0e11131519110e',
    '1': '040c040404040e',
    '2': '0e11010204081f',
    '3': '1f02040201110e',
    '4': '02060a121f0202',
    '5': '1f101e0101110e',
    '6': '0608101e11110e',
    '7': '1f010204080808',
    '8': '0e11110e11110e',
    '9': '0e11110f01020c',
    'A': '0e11111f111111',
    'B': '1e11111e11111e',
    'C': '0e11101010110e',
    'D': '1e11111111111e',
    'E': '1f10101e10101f',
    'F': '1f10101e101010',
    'G': '0e11101711110f',
    'H': '1111111f111111',
    'J': '0702020202120c',
    'K': '11121418141211',
    'L': '1010101010101f',
    'M': '111b1515111111',
    'N': '11191513111111',
    'P': '1e11111e101010',
    'R': '1e11111e141211',
    'S': '0f10100e01011e',
    'T': '1f040404040404',
    'U': '1111111111110e',
    'V': '11111111110a04',
    'W': '11111115151b11',
    'X': '11110a040a1111',
    'Y': '11110a04040404',
}

LETTERS = ''.join(sorted(letter for letter in _ROWS if letter.isalpha()))


@lru_cache(maxsize=None)
def glyph(character: str, scale: int) -> np.ndarray:
    """The glyph as a boolean array of (7 scale, 5 scale) pixels."""
    rows = [[row >> (4 - x) & 1 for x in range(WIDTH)] for row in bytes.fromhex(_ROWS[character])]
    return np.kron(np.array(rows, bool), np.ones((scale, scale), bool))


def text_width(text: str, scale: int) -> int:
    """The pixels that the text is wide, without the gap after its last glyph."""
    return (len(text) * ADVANCE - 1) * scale


def write(pixels: np.ndarray, text: str, corner: tuple[int, int], style: tuple[int, int]) -> None:
    """Writes the text with its top left at corner (x, y), in style (scale, palette index)."""
    (x, y), (scale, index) = corner, style
    for character in text:
        mask = glyph(character, scale)
        pixels[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = index
        x += ADVANCE * scale
