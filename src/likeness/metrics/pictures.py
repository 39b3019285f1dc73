"""Pictures about pictures: contact sheets and curves, as PNG bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.types import Floats, check

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Bytes = NDArray[np.uint8]
_GAP = 4
_LABEL = 18
_PAPER = (251, 250, 248)
_INK = (29, 33, 38)
COLORS = ("#0b6e75", "#d1602f", "#6d5aa8", "#4c8a3d", "#b0357a", "#8a6d1f")


def picture_png(image: Tensor) -> bytes:
    """Encode a (3,h,w) picture in [0,1], or (1,h,w) in gray, as PNG."""
    check(
        image.ndim == 3 and image.shape[0] in (1, 3),
        f"the picture has shape {tuple(image.shape)}, expected (3, h, w) or (1, h, w)",
    )
    return _png(_bytes_of(image))


def picture_size(png: bytes) -> tuple[int, int]:
    """Return (width, height) from a PNG's header."""
    check(png[:8] == b"\x89PNG\r\n\x1a\n", "the bytes are no PNG")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def contact_sheet(
    rows: Mapping[str, Tensor] | Tensor, labels: Sequence[str] = (), columns: int = 8
) -> bytes:
    """Lay pictures out on one sheet.

    Args:
        rows: either named rows of pictures, (n,3,h,w) each and all of one width, the name written
            before its row; or one (n,3,h,w) stack that is broken into rows of `columns`.
        labels: written above the columns of named rows, or under each picture of a stack.
        columns: pictures per row of a stack.

    Returns:
        PNG bytes.

    Raises:
        ContractError: widths differ, nothing is given, or there are more labels than pictures.
    """
    if isinstance(rows, Tensor):
        return _stack_sheet(rows, labels, columns)
    return _png(_row_sheet(rows, labels))


def sheet_picture(rows: Mapping[str, Tensor], labels: Sequence[str] = ()) -> Tensor:
    """Lay named rows out as `contact_sheet` does, and return (3,H,W) RGB in [0,1]."""
    sheet = torch.from_numpy(_row_sheet(rows, labels).copy())
    return sheet.permute(2, 0, 1).float() / 255


def curves(
    series: Mapping[str, Floats],
    x: Floats | None = None,
    title: str = "",
    axes: tuple[str, str] = ("frame", ""),
) -> Figure:
    """Plot named (n,) series over a common axis; NaN leaves a gap.

    Args:
        series: at least one, in the order of the legend.
        x: (n,) positions; 0, 1, 2... when None.
        title: above the plot.
        axes: labels of the horizontal and vertical axis.

    Returns:
        A figure that belongs to no window: `Report.add_figure` takes it.
    """
    check(bool(series), "curves of no series")
    # The object interface keeps matplotlib's global state and windows out of it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    for index, (name, values) in enumerate(series.items()):
        at = np.arange(len(values)) if x is None else x
        plot.plot(at, values, label=name, color=COLORS[index % len(COLORS)], linewidth=1.3)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    plot.set_title(title, fontsize=11, loc="left")
    plot.grid(alpha=0.25)
    plot.margins(x=0.01)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    if len(series) > 1:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Render a matplotlib figure at twice the size it is shown at."""
    buffer = io.BytesIO()
    # No software tag: the same numbers give the same bytes.
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def _row_sheet(rows: Mapping[str, Tensor], labels: Sequence[str]) -> _Bytes:
    check(bool(rows), "a contact sheet of no rows")
    widths = {pictures.shape[-1] for pictures in rows.values()}
    check(len(widths) == 1, f"rows of pictures of widths {sorted(widths)}, expected one size")
    w = widths.pop()
    most = max(len(pictures) for pictures in rows.values())
    check(len(labels) <= most, f"{len(labels)} labels for {most} columns")
    margin = 12 + 8 * max(len(name) for name in rows) if any(rows) else 0
    top = _LABEL if labels else 0
    heights = [pictures.shape[-2] + _GAP for pictures in rows.values()]
    sheet = _paper(top + sum(heights) + _GAP, margin + most * (w + _GAP) + _GAP)
    texts = [(margin + _GAP + i * (w + _GAP), 2, label) for i, label in enumerate(labels)]
    y = top + _GAP
    for name, pictures in rows.items():
        h = pictures.shape[-2]
        texts.append((_GAP, y + h // 2 - 7, name))
        for column, picture in enumerate(pictures):
            x = margin + _GAP + column * (w + _GAP)
            sheet[y : y + h, x : x + w] = _bytes_of(picture)
        y += h + _GAP
    return _written(sheet, texts)


def _stack_sheet(pictures: Tensor, labels: Sequence[str], columns: int) -> bytes:
    check(pictures.ndim == 4 and len(pictures) > 0, f"a sheet of {tuple(pictures.shape)}")
    check(columns > 0, f"columns is {columns}, expected at least 1")
    check(len(labels) <= len(pictures), f"{len(labels)} labels for {len(pictures)} pictures")
    h, w = pictures.shape[-2:]
    columns = min(columns, len(pictures))
    line = h + _GAP + (_LABEL if labels else 0)
    sheet = _paper(-(-len(pictures) // columns) * line + _GAP, columns * (w + _GAP) + _GAP)
    texts = []
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        y, x = _GAP + row * line, _GAP + column * (w + _GAP)
        sheet[y : y + h, x : x + w] = _bytes_of(picture)
        if index < len(labels):
            texts.append((x, y + h + 1, labels[index]))
    return _png(_written(sheet, texts))


def _paper(height: int, width: int) -> _Bytes:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _bytes_of(picture: Tensor) -> _Bytes:
    levels = (picture.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    array: _Bytes = levels.expand(3, -1, -1).permute(1, 2, 0).cpu().contiguous().numpy()
    return array


def _written(sheet: _Bytes, texts: list[tuple[int, int, str]]) -> _Bytes:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    for x, y, text in texts:
        draw.text((x, y), text, fill=_INK, font=font)
    return np.asarray(picture)


def _png(pixels: _Bytes) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=False)
    return buffer.getvalue()
