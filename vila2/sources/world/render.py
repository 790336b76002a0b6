"""Renders a scene to a 96x96 image: ray-cast solids, a tiled floor, soft shadows, signs, a little noise."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vila2.data.chance import generator
from vila2.sources.world import geometry
from vila2.sources.world.glyphs import GLYPHS, HEIGHT, PITCH, WIDTH
from vila2.sources.world.scene import Scene, WorldObject, sign_box
from vila2.sources.world.vocabulary import COLOURS

Pixels = NDArray[np.float32]

_OVER = 2  # supersampling per axis
_SIDE = geometry.SIZE * _OVER
_GRID = ((np.arange(_SIDE, dtype=np.float32) + 0.5) / _OVER).astype(np.float32)
_HORIZON = int(geometry.CENTER_V * _OVER)

#: Places of the floor's samples in meters: z for each row, x for each sample.
_FLOOR_Z = geometry.FOCAL * geometry.CAMERA_HEIGHT / (_GRID[_HORIZON:] - geometry.CENTER_V)
_FLOOR_X = (_GRID[None, :] - geometry.CENTER_U) / geometry.FOCAL * _FLOOR_Z[:, None]
_FADE = np.clip(2.2 / _FLOOR_Z, 0, 1) ** 1.5
_TILES = ((np.floor(_FLOOR_X / 0.8) + np.floor(_FLOOR_Z / 0.8)[:, None]) % 2 * 2 - 1) * 0.05 * _FADE[:, None]
_TILES = _TILES.astype(np.float32)
_NEARNESS = np.clip((_GRID[_HORIZON:] - geometry.CENTER_V) / (geometry.SIZE - geometry.CENTER_V), 0, 1)

#: Colors of floor and sky; mid-tones, so that both white and black objects stand out.
_FLOORS = np.array(
    [[0.66, 0.62, 0.55], [0.58, 0.61, 0.65], [0.62, 0.64, 0.58], [0.60, 0.55, 0.52], [0.55, 0.60, 0.62]],
    np.float32,
)
_SKIES = np.array(
    [[0.78, 0.86, 0.93], [0.90, 0.88, 0.84], [0.84, 0.90, 0.90], [0.86, 0.84, 0.90]], np.float32
)


def render(scene: Scene) -> Image.Image:
    """Renders a scene as an RGB image, ``scene.size`` pixels square; a scene always has the same pixels."""
    rng = generator("look", scene.key)
    light = np.array([0.55 if rng.random() < 0.5 else -0.55, -0.75, -0.45], np.float32)
    light /= np.linalg.norm(light)
    canvas = _background(rng)
    for thing in scene.objects:
        _shade_floor(canvas, thing, light)
    nearest = np.full((_SIDE, _SIDE), np.inf, dtype=np.float32)
    for thing in scene.objects:
        _draw(canvas, nearest, thing, light)
    pixels = (canvas[::2, ::2] + canvas[1::2, ::2] + canvas[::2, 1::2] + canvas[1::2, 1::2]) * np.float32(
        0.25
    )
    for thing in sorted(scene.objects, key=lambda one: -one.depth):
        _draw_sign(pixels, thing)
    pixels *= np.float32(0.9 + 0.16 * rng.random())
    pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(0.012)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))


def png(scene: Scene) -> bytes:
    """Renders a scene as a PNG file."""
    file = io.BytesIO()
    render(scene).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _background(rng: np.random.Generator) -> Pixels:
    floor = _FLOORS[int(rng.integers(len(_FLOORS)))]
    sky = _SKIES[int(rng.integers(len(_SKIES)))]
    canvas = np.empty((_SIDE, _SIDE, 3), dtype=np.float32)
    haze = (np.arange(_HORIZON, dtype=np.float32) / _HORIZON)[:, None, None]
    canvas[:_HORIZON] = sky * (0.92 + 0.10 * haze)
    # The floor brightens toward the horizon, as in haze.
    tone = (1.10 - 0.22 * _NEARNESS)[:, None] + _TILES
    canvas[_HORIZON:] = tone[:, :, None] * floor
    return canvas


def _shade_floor(canvas: Pixels, thing: WorldObject, light: Pixels) -> None:
    """Darkens an ellipse of floor on the side away from the light."""
    width, height, _ = thing.dimensions
    reach = 0.30 * height
    x = thing.centre[0] - light[0] * reach
    z = thing.depth - light[2] * reach * 0.5
    across, along = 0.62 * width + 0.35 * reach, 0.52 * width + 0.2 * reach
    rows = np.nonzero(np.abs(_FLOOR_Z - z) < along)[0]
    if not len(rows):
        return
    first, last = rows[0], rows[-1] + 1
    scale = geometry.FOCAL / (z - along)
    left = max(int((geometry.CENTER_U + (x - across) * scale) * _OVER) - 8, 0)
    right = min(int((geometry.CENTER_U + (x + across) * scale) * _OVER) + 8, _SIDE)
    far = ((_FLOOR_X[first:last, left:right] - x) / across) ** 2 + (
        ((_FLOOR_Z[first:last] - z) / along) ** 2
    )[:, None]
    canvas[_HORIZON + first : _HORIZON + last, left:right] *= (1 - 0.45 * np.clip(1.25 - far, 0, 1))[
        :, :, None
    ]


def _draw(canvas: Pixels, nearest: Pixels, thing: WorldObject, light: Pixels) -> None:
    x0, y0, x1, y1 = (int(edge * _SIDE) for edge in thing.box)
    window = np.s_[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
    depth, normal = geometry.cast(thing, _GRID[window[1]], _GRID[window[0]])
    seen = depth < nearest[window]
    facing = normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]
    lit = (0.50 + 0.16 * np.clip(-normal[1], 0, 1) + 0.44 * np.clip(facing, 0, 1))[seen]
    color = np.array(COLOURS[thing.colour], np.float32)
    shaded = lit[:, None] * color
    if thing.shape != "cube":
        shaded += (0.28 * np.clip(facing, 0, 1) ** 14)[seen][:, None]  # a highlight tells round from flat
    canvas[window][seen] = shaded
    nearest[window] = np.where(seen, depth, nearest[window])


def _draw_sign(pixels: Pixels, thing: WorldObject) -> None:
    """Draws a white plate on a short post above the object, with dark letters at a pitch of eight pixels."""
    place = sign_box(thing)
    if place is None:
        return
    x0, y0, x1, y1 = place
    post = (x0 + x1) // 2
    pixels[y1 : y1 + 4, post - 1 : post + 1] = 0.25
    pixels[y0:y1, x0:x1] = 0.30
    pixels[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = 0.96
    for position, letter in enumerate(thing.word or ""):
        left = x0 + 3 + position * PITCH
        pixels[y0 + 2 : y0 + 2 + HEIGHT, left : left + WIDTH][GLYPHS[letter]] = 0.06
