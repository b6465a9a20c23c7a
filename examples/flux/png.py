"""PNG files of 8-bit RGB by zlib alone."""

import struct
import zlib
from pathlib import Path

import numpy as np

SIGNATURE = b'\x89PNG\r\n\x1a\n'


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack('>I', len(content))
        + kind
        + content
        + struct.pack('>I', zlib.crc32(kind + content))
    )


def write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: (height, width, 3) bytes."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    body = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows.tobytes(), 9))
    path.write_bytes(SIGNATURE + body + chunk(b'IEND', b''))


def read_png(path: Path) -> np.ndarray:
    """(height, width, 3) bytes of an 8-bit RGB or RGBA file that is not interlaced."""
    content, place, data = path.read_bytes(), len(SIGNATURE), b''
    while place < len(content):
        length, kind = struct.unpack('>I4s', content[place : place + 8])
        part = content[place + 8 : place + 8 + length]
        if kind == b'IHDR':
            width, height, depth, colour, _, _, laced = struct.unpack('>IIBBBBB', part)
        if kind == b'IDAT':
            data += part
        place += 12 + length
    if content[:8] != SIGNATURE or depth != 8 or colour not in (2, 6) or laced:
        raise ValueError(f'{path}: an 8-bit RGB PNG file expected')
    samples = 3 if colour == 2 else 4
    rows = unfiltered(zlib.decompress(data), height, width * samples, samples)
    return rows.reshape(height, width, samples)[:, :, :3]


def unfiltered(data: bytes, height: int, length: int, samples: int) -> np.ndarray:
    rows, above = np.zeros((height, length), np.uint8), [0] * length
    for y in range(height):
        start = y * (length + 1)
        row = list(data[start + 1 : start + 1 + length])
        for x in range(length):
            left = row[x - samples] if x >= samples else 0
            corner = above[x - samples] if x >= samples else 0
            row[x] = (row[x] + predicted(data[start], left, above[x], corner)) & 255
        rows[y], above = row, row
    return rows


def predicted(method: int, left: int, above: int, corner: int) -> int:
    if method < 4:
        return (0, left, above, (left + above) // 2)[method]
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def grid(images: np.ndarray, columns: int, gap: int = 4) -> np.ndarray:
    """(count, height, width, 3) bytes side by side on white, row by row."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for place, image in enumerate(images):
        y, x = (place // columns) * (height + gap), (place % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet
