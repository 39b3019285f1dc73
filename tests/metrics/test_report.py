"""Reports stand alone, escape what they are told, and carry what was put in."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.errors import ContractError, MediaError
from likeness.metrics.pictures import contact_sheet, curves, figure_png, picture_png, picture_size
from likeness.metrics.report import Report, show


class Tags(HTMLParser):
    """Lists the start tags and checks that the page closes what it opens."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def filled(tmp_path):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"\0\0\0\x18ftypmp42 film")
    report = Report("A <portrait>", "of one clip", "made by a test")
    report.add_text("First.\n\nSecond & last.").add_section("Numbers")
    report.add_table(("measure", "value"), [("psnr", 29.34567), ("gaze", None)], "on the face")
    report.add_numbers({"frames": 3, "intervals": {"psnr": [1, 2]}})
    report.add_section("Pictures").add_images(list(torch.rand(2, 3, 8, 9)), ["one", "two"])
    report.add_figure(curves({"a": np.arange(5.0)}), "a line")
    report.add_picture(contact_sheet(torch.rand(3, 3, 8, 8)), "a sheet")
    report.add_section("Videos").add_video(video, "left").add_video(video, "right")
    return report, video


def test_page_is_well_formed_and_needs_nothing_from_outside(tmp_path):
    report, video = filled(tmp_path)
    page = report.write(tmp_path / "report.html").read_text()
    tags = Tags(page).found
    names = [name for name, _ in tags]
    assert names.count("table") == 2
    assert names.count("video") == 2
    assert names.count("img") == 4
    assert names.count("h2") == 3
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "script" not in names
    assert "http" not in page
    sources = [a["src"] for name, a in tags if name == "video"]
    head, data = sources[0].split(",")
    assert head == "data:video/mp4;base64"
    assert base64.b64decode(data) == video.read_bytes()
    assert [p.name for p in tmp_path.glob("*.partial")] == []


def _videos(report):
    return [a for name, a in Tags(report.html()).found if name == "video"]


def _poster(video):
    head, data = video["poster"].split(",")
    assert head == "data:image/jpeg;base64"
    return pixels(base64.b64decode(data))


def test_every_video_shows_a_frame_until_it_plays(tmp_path, make_clip, frames):
    pictures = frames(21, (48, 64))
    film = make_clip(tmp_path / "film.mp4", pictures)
    (video,) = _videos(Report("x").add_video(film, "left"))
    assert video["preload"] == "metadata"
    assert (video["width"], video["height"]) == ("64", "48")
    # The bar in the middle frame tells its number.
    wanted = [np.abs(_poster(video) - p.astype(float)).mean() for p in pictures]
    assert int(np.argmin(wanted)) == 10
    assert wanted[10] < 12


def test_a_poster_is_no_blank_frame(tmp_path, make_clip, frames):
    pictures = frames(21, (48, 64))
    pictures[4:] = 0
    (video,) = _videos(Report("x").add_video(make_clip(tmp_path / "fades.mp4", pictures)))
    assert _poster(video).std() > 20
    pictures[:] = 255
    (video,) = _videos(Report("x").add_video(make_clip(tmp_path / "white.mp4", pictures)))
    assert _poster(video).mean() > 240


def test_a_large_video_has_a_smaller_poster(tmp_path, make_clip, frames):
    film = make_clip(tmp_path / "wide.mp4", frames(3, (96, 2000)))
    (video,) = _videos(Report("x").add_video(film))
    assert (video["width"], video["height"]) == ("2000", "96")
    assert _poster(video).shape == (61, 1280, 3)


def test_a_video_that_cannot_be_decoded_here_is_embedded_without_poster(tmp_path, caplog):
    film = tmp_path / "a.mp4"
    film.write_bytes(b"\0\0\0\x18ftypmp42 film")
    (video,) = _videos(Report("x").add_video(film))
    assert "poster" not in video
    assert "a.mp4 gets no poster" in caplog.text


def test_links_lead_to_headings(tmp_path):
    tags = Tags(filled(tmp_path)[0].html()).found
    links = [a["href"][1:] for name, a in tags if name == "a"]
    assert links == [a["id"] for name, a in tags if name == "h2"]
    assert len(set(links)) == 3


def test_text_is_escaped_and_split(tmp_path):
    page = filled(tmp_path)[0].html()
    assert "A &lt;portrait&gt;" in page
    assert "<p>First.</p>" in page
    assert "<p>Second &amp; last.</p>" in page
    assert "29.35" in page
    assert "<td>-</td>" in page
    assert "intervals" not in page


def test_same_content_same_bytes(tmp_path):
    torch.manual_seed(0)
    first = filled(tmp_path)[0].html()
    torch.manual_seed(0)
    assert filled(tmp_path)[0].html() == first


def test_numbers_are_written_short():
    assert [show(v) for v in (None, 3, 29.34567, 0.00012345, 123456.7, 0.0, "x")] == [
        "-",
        "3",
        "29.35",
        "0.00012",
        "123457",
        "0",
        "x",
    ]


def test_wrong_parts_are_refused(tmp_path):
    report = Report("x")
    with pytest.raises(ContractError, match="1 cells, expected 2"):
        report.add_table(("a", "b"), [(1,)])
    with pytest.raises(ContractError, match="1 images and 2 labels"):
        report.add_images([torch.rand(3, 4, 4)], ["a", "b"])
    with pytest.raises(MediaError, match="no video that browsers play"):
        report.add_video(tmp_path / "a.avi")
    with pytest.raises(MediaError, match="cannot be read: there is no such file"):
        report.add_video(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="cannot write"):
        report.write(tmp_path / "no" / "report.html")


def test_png_holds_the_pixels():
    image = torch.rand(3, 5, 7)
    png = picture_png(image)
    assert picture_size(png) == (7, 5)
    wanted = (image * 255).round().byte().permute(1, 2, 0).numpy()
    assert (pixels(png) == wanted).all()
    with pytest.raises(ContractError, match="expected"):
        picture_png(torch.rand(2, 5, 7))
    with pytest.raises(ContractError, match="no PNG"):
        picture_size(b"GIF")


def test_contact_sheet_places_pictures():
    red = torch.zeros(5, 3, 20, 30)
    red[:, 0] = 1
    sheet = pixels(contact_sheet(red, columns=3))
    assert sheet.shape == (2 * 24 + 4, 3 * 34 + 4, 3)
    assert (sheet == (255, 0, 0)).all(-1).sum() == 5 * 20 * 30
    labeled = pixels(contact_sheet(red, [str(i) for i in range(5)], columns=3))
    assert labeled.shape[0] == sheet.shape[0] + 2 * 18
    assert (labeled == (255, 0, 0)).all(-1).sum() == 5 * 20 * 30
    named = pixels(contact_sheet({"real": red, "result": red[:4]}, ["t0", "t1"]))
    assert (named == (255, 0, 0)).all(-1).sum() == 9 * 20 * 30
    with pytest.raises(ContractError, match="one size"):
        contact_sheet({"a": red, "b": red[..., :8]})
    with pytest.raises(ContractError, match="labels"):
        contact_sheet(red, ["x"] * 6)


def test_curves_draw_every_series():
    series = {"real": np.sin(np.arange(50) / 5), "result": np.full(50, np.nan)}
    figure = curves(series, np.arange(50) / 25, "openness", ("seconds", "ratio"))
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["real", "result"]
    assert lines[0].get_xdata()[-1] == pytest.approx(49 / 25)
    assert pixels(figure_png(figure)).std() > 5
