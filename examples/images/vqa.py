"""
The task that the pretrained model does not know: codes for pictures, by rules of this example.

    python3 examples/images/vqa.py [FOLDER]

writes train.jsonl, test.jsonl and their PNG files into the folder (default: data beside this file).
"""

import json
import struct
import sys
import zlib
from pathlib import Path
from random import Random

import numpy as np

from draw import Picture, draw_chart, draw_shapes

COLOUR_LETTERS = {
    'red': 'R',
    'green': 'G',
    'blue': 'B',
    'yellow': 'Y',
    # Not O, which the font leaves out for its likeness to 0.
    'orange': 'E',
    'purple': 'P',
    'pink': 'K',
    'brown': 'N',
}
KIND_LETTERS = {
    'circle': 'C',
    'square': 'S',
    'triangle': 'T',
    'diamond': 'D',
    'cross': 'X',
    'ring': 'H',
    'star': 'A',
}
SPLITS = {'train': 600, 'test': 200}
SEED = 12015


def code_of(picture: Picture) -> str:
    """
    Shapes: colour letter and shape letter of each, in reading order (RCBS). Charts: the tallest
    bar's label and value, then the shortest's (D7H2).
    """
    facts = picture.facts
    if picture.kind == 'shapes':
        return ''.join(COLOUR_LETTERS[f['colour']] + KIND_LETTERS[f['kind']] for f in facts)
    ends = (pick(facts, key=lambda fact: fact['value']) for pick in (max, min))
    return ''.join(f'{fact["label"]}{fact["value"]}' for fact in ends)


def question_of(picture: Picture) -> str:
    return f'Write the code of the {picture.kind}.'


def picture_of(random: Random, place: int) -> Picture:
    """A chart and two shapes in turn, each 112 pixels square."""
    size = (112, 112)
    return draw_shapes(random, size, (2, 2)) if place % 2 else draw_chart(random, size, (3, 4))


def pictures_of(split: str) -> list[Picture]:
    """The pictures of one of SPLITS, always the same ones; no test code is a training code."""
    random = Random(f'{SEED} {split}')
    taken = set() if split == 'train' else {code_of(other) for other in pictures_of('train')}
    return [_untaken(random, place, taken) for place in range(SPLITS[split])]


def _untaken(random: Random, place: int, taken: set[str]) -> Picture:
    while code_of(picture := picture_of(random, place)) in taken:
        pass
    return picture


def png(picture: Picture) -> bytes:
    """The picture as an indexed PNG file of four bits a pixel; its width is even."""
    height, width = picture.pixels.shape
    packed = picture.pixels[:, 0::2] << 4 | picture.pixels[:, 1::2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1)
    header = struct.pack('>IIBBBBB', width, height, 4, 3, 0, 0, 0)
    chunks = [
        (b'IHDR', header),
        (b'PLTE', picture.palette.tobytes()),
        (b'IDAT', zlib.compress(rows.tobytes(), 9)),
        (b'IEND', b''),
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def write_split(folder: Path, split: str) -> None:
    (folder / split).mkdir(parents=True, exist_ok=True)
    rows = []
    for place, picture in enumerate(pictures_of(split)):
        path = f'{split}/{place:03}.png'
        (folder / path).write_bytes(png(picture))
        turns = [('user', f'<image>\n{question_of(picture)}'), ('assistant', code_of(picture))]
        messages = [{'role': role, 'content': content} for role, content in turns]
        rows.append(json.dumps({'messages': messages, 'images': [path]}))
    (folder / f'{split}.jsonl').write_text('\n'.join(rows) + '\n')


if __name__ == '__main__':
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'data'
    for name in SPLITS:
        write_split(target, name)
