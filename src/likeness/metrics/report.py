"""One self-contained HTML file with text, tables, pictures, curves and videos.

    report = Report("A portrait of one clip")
    report.add_section("Result").add_video(path, "driven by another clip")
    report.add_table(("measure", "value"), [("PSNR, face", 29.3)])
    report.write(folder / "report.html")

Everything is embedded: the file can be mailed. It needs no script and no network to be read.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from likeness.errors import MediaError
from likeness.files import why_unreadable, why_unwritable
from likeness.metrics.pictures import figure_png, picture_png, picture_size
from likeness.metrics.poster import poster_of
from likeness.outputs import atomic_file
from likeness.outputs.marks import PAGE
from likeness.types import check

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
_LARGEST_VIDEO = 64 * 2**20


@dataclass(frozen=True, slots=True)
class _Section:
    number: int
    heading: str
    parts: list[dict[str, Any]] = field(default_factory=list)


class Report:
    """Collects parts in order; every `add_...` returns the report, so that calls can be chained."""

    def __init__(self, title: str, subtitle: str = "", footer: str = "") -> None:
        self.title, self.subtitle, self.footer = title, subtitle, footer
        self._sections = [_Section(1, "")]

    def add_section(self, heading: str) -> Report:
        """Begin a section; what is added from now on belongs to it."""
        self._sections.append(_Section(len(self._sections) + 1, heading))
        return self

    def add_text(self, text: str) -> Report:
        """Add paragraphs of plain text, split at empty lines."""
        return self._add(kind="text", paragraphs=_paragraphs(text), note=False)

    def add_note(self, text: str) -> Report:
        """Add paragraphs that stand out: what the reader must not miss."""
        return self._add(kind="text", paragraphs=_paragraphs(text), note=True)

    def add_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = ""
    ) -> Report:
        """Add a table; numbers are shortened to four digits, None is shown as a dash.

        Raises:
            ContractError: a row has another number of cells than there are columns.
        """
        for row in rows:
            check(
                len(row) == len(columns),
                f"a row has {len(row)} cells, expected {len(columns)}: {tuple(columns)}",
            )
        cells = [[show(cell) for cell in row] for row in rows]
        return self._add(kind="table", columns=list(columns), rows=cells, caption=caption)

    def add_numbers(self, numbers: Mapping[str, object], caption: str = "") -> Report:
        """Add a table of two columns from a report's `.json()`; nested values are left out."""
        rows = [(k, v) for k, v in numbers.items() if not isinstance(v, (Mapping, list, tuple))]
        return self.add_table(("measure", "value"), rows, caption)

    def add_images(
        self, images: Sequence[Tensor], labels: Sequence[str], caption: str = ""
    ) -> Report:
        """Add a gallery of (3,h,w) pictures in [0,1], each under its label.

        Raises:
            ContractError: labels and pictures differ in number.
        """
        check(len(images) == len(labels), f"{len(images)} images and {len(labels)} labels")
        pictures = [
            (_text(picture_png(image)), label) for image, label in zip(images, labels, strict=True)
        ]
        return self._add(kind="images", pictures=pictures, caption=caption)

    def add_picture(self, png: bytes, caption: str = "", width: int | None = None) -> Report:
        """Add one PNG, such as a contact sheet, shown `width` pixels wide (its own if None)."""
        return self._figure(png, caption, width or picture_size(png)[0], "picture")

    def add_figure(self, figure: Figure, caption: str = "") -> Report:
        """Add a matplotlib figure as a sharp PNG."""
        png = figure_png(figure)
        return self._figure(png, caption, picture_size(png)[0] // 2, "curves")

    def add_video(self, path: Path, caption: str = "") -> Report:
        """Add an .mp4 or .webm; videos added one after another stand side by side.

        A frame of it, the same moment in videos of one length, is shown until it plays. Browsers
        play H.264 with 8-bit 4:2:0 in .mp4 everywhere; other codecs depend on the browser.

        Raises:
            MediaError: the file is missing, of another kind or above 64 MiB.
        """
        path = Path(path)
        if path.suffix.lower() not in _TYPES:
            raise MediaError(
                f"{path.name} is no video that browsers play; expected {', '.join(sorted(_TYPES))}"
            )
        try:
            size = path.stat().st_size
            if size > _LARGEST_VIDEO:
                raise MediaError(
                    f"{path.name} has {size / 2**20:.0f} MiB, expected at most "
                    f"{_LARGEST_VIDEO / 2**20:.0f} to embed; shorten or shrink it first"
                )
            data = path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path} cannot be read: {why_unreadable(error)}") from error
        poster = poster_of(path)
        video = {
            "type": _TYPES[path.suffix.lower()],
            "data": _text(data),
            "caption": caption,
            "poster": poster and {"jpeg": _text(poster.jpeg), "size": poster.size},
        }
        parts = self._sections[-1].parts
        if parts and parts[-1]["kind"] == "videos":
            parts[-1]["videos"].append(video)
            return self
        return self._add(kind="videos", videos=[video])

    def html(self) -> str:
        """Return the page as text."""
        # Loaded on first use: measures alone need no templates.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("likeness.metrics", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("report.html").render(
            title=self.title, subtitle=self.subtitle, footer=self.footer, sections=self._sections
        )

    def write(self, path: Path) -> Path:
        """Write the page beside its final name and rename it when whole.

        Raises:
            MediaError: the folder does not exist or cannot be written.
        """
        path = Path(path)
        page = self.html()
        try:
            with atomic_file(path, PAGE) as partial:
                partial.write_text(page, encoding="utf-8")
        except OSError as error:
            raise MediaError(f"cannot write {path}: {why_unwritable(error)}") from error
        return path

    def _figure(self, png: bytes, caption: str, width: int, look: str) -> Report:
        return self._add(
            kind="figure",
            png=_text(png),
            caption=caption,
            width=width,
            look=look,
            alt=caption or "figure",
        )

    def _add(self, **part: Any) -> Report:
        self._sections[-1].parts.append(part)
        return self


def show(value: object) -> str:
    """Write a table cell: floats with four digits, None as a dash, the rest as it is."""
    if value is None:
        return "-"
    if isinstance(value, float):
        if value and abs(value) < 1e-3:
            return f"{value:.2g}"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(block.split()) for block in text.split("\n\n") if block.strip()]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
