"""
Draws scenes: filled primitives, one over the other, with smooth edges, many scenes at a time.

A primitive is a row (kind, x, y, rx, ry, angle, extra, red, green, blue): its middle and half axes
in units of the picture's side, the angle in radians, colours in [0, 1].
"""

import torch
from torch import Tensor

NOTHING, ELLIPSE, BOX, TRIANGLE, RING, STAR, STRIPES, DOTS, SMILE = range(9)
FIELDS = 10


def ellipse(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, _: Tensor) -> Tensor:
    scaled = torch.hypot(x / rx, y / ry)
    slope = torch.hypot(x / rx**2, y / ry**2)
    return scaled * (scaled - 1) / slope.clamp(min=1e-6)


def box(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, extra: Tensor) -> Tensor:
    """extra: the corners' radius as a share of the smaller half axis."""
    radius = extra * torch.minimum(rx, ry)
    dx, dy = x.abs() - rx + radius, y.abs() - ry + radius
    outside = torch.hypot(dx.clamp(min=0), dy.clamp(min=0))
    return outside + torch.maximum(dx, dy).clamp(max=0) - radius


def triangle(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, _: Tensor) -> Tensor:
    """The tip at the top."""
    side = (x.abs() * 2 * ry - (y + ry) * rx) / torch.hypot(2 * ry, rx)
    return torch.maximum(side, y - ry)


def ring(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, extra: Tensor) -> Tensor:
    """extra: half the line's width."""
    return ellipse(x, y, rx, ry, extra).abs() - extra


def star(x: Tensor, y: Tensor, rx: Tensor, _: Tensor, extra: Tensor) -> Tensor:
    """Five tips, one at the top; extra: the inner radius as a share of the outer."""
    sector = torch.pi / 5
    angle = torch.remainder(torch.atan2(x, -y) + sector, 2 * sector) - sector
    radius = torch.hypot(x, y)
    px, py = radius * angle.cos(), radius * angle.abs().sin()
    # The line from the tip (rx, 0) to the notch at half a sector.
    notch_x = extra * rx * torch.cos(torch.tensor(sector))
    notch_y = extra * rx * torch.sin(torch.tensor(sector))
    along_x, along_y = notch_x - rx, notch_y
    return (along_y * (px - rx) - along_x * py) / torch.hypot(along_x, along_y)


def stripes(x: Tensor, y: Tensor, rx: Tensor, _: Tensor, extra: Tensor) -> Tensor:
    """Everywhere; rx: the period, extra: half a stripe's width."""
    return (torch.remainder(x, rx) - rx / 2).abs() - extra


def dots(x: Tensor, y: Tensor, rx: Tensor, _: Tensor, extra: Tensor) -> Tensor:
    """Everywhere; rx: the period, extra: the radius."""
    return torch.hypot(torch.remainder(x, rx) - rx / 2, torch.remainder(y, rx) - rx / 2) - extra


def smile(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, extra: Tensor) -> Tensor:
    """The lower half of a ring."""
    return torch.maximum(ring(x, y, rx, ry, extra), -y)


DISTANCES = {
    ELLIPSE: ellipse,
    BOX: box,
    TRIANGLE: triangle,
    RING: ring,
    STAR: star,
    STRIPES: stripes,
    DOTS: dots,
    SMILE: smile,
}


def rendered(scenes: Tensor, side: int) -> Tensor:
    """(scenes, primitives, FIELDS) -> (scenes, 3, side, side) bytes; white where nothing is."""
    device = scenes.device
    middle = (torch.arange(side, device=device) + 0.5) / side
    images = torch.ones(len(scenes), 3, side, side, device=device)
    for layer in scenes.unbind(1):
        for kind, distance in DISTANCES.items():
            chosen = (layer[:, 0] == kind).nonzero()[:, 0]
            if len(chosen) > 0:
                paint(images, chosen, layer[chosen], middle, distance)
    return (images * 255).round().to(torch.uint8)


def paint(images: Tensor, chosen: Tensor, rows: Tensor, middle: Tensor, distance) -> None:
    _, x, y, rx, ry, angle, extra = (part[:, None, None] for part in rows[:, :7].unbind(1))
    dx, dy = middle[None, None, :] - x, middle[None, :, None] - y
    cos, sin = angle.cos(), angle.sin()
    depth = distance(dx * cos + dy * sin, dy * cos - dx * sin, rx, ry, extra) * len(middle)
    cover = (0.5 - depth).clamp(0, 1)[:, None]
    colour = rows[:, 7:, None, None]
    images[chosen] = torch.lerp(images[chosen], colour.expand(-1, 3, *cover.shape[2:]), cover)
