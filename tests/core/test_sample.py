"""A sample refuses what cannot be, and its arrays are those that training sees, worked out by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage
from pydantic import ValidationError

from maskflow_convert import Bitmap, Box, Drawing, Frame, Image, Instance, Polygons, Region, Rle, Sample, Union
from maskflow_convert.errors import ImageError, ShapeError
from maskflow_convert.image import ImageSettings

PICTURE = np.array([[(10 * x, 100 * y, 7) for x in range(5)] for y in range(3)], dtype=np.uint8)


def png(pixels: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


LABELS = np.array([[0, 7, 7, 0, 0], [0, 7, 0, 0, 0], [0, 0, 0, 0, 9]], dtype=np.uint8)
SHAPES = {
    "cat": Rle(height=3, width=5, counts=(3, 1, 10, 1)),
    "dog": Box(x0=0, y0=1, x1=2, y1=3),
    "cow": Polygons(parts=((0, 0, 3, 0, 3, 2, 0, 2),)),
    "pig": Region(source=png(LABELS), value=7),
    "hen": Bitmap(source=png(np.ones((2, 1), np.uint8)), x=4, y=-1),
    "fox": Drawing(figure="rectangle", points=(3, 1, 4, 1)),
    "owl": Union(members=(Rle(height=3, width=5, counts=(0, 1, 14)), Drawing(figure="line", points=(1, 0, 1, 1)))),
}
PIXELS = {  # (x, y)
    "cat": [(1, 0), (4, 2)],
    "dog": [(0, 1), (0, 2), (1, 1), (1, 2)],
    "cow": [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)],
    "pig": [(1, 0), (1, 1), (2, 0)],
    "hen": [(4, 0)],
    "fox": [(3, 1), (4, 1)],
    "owl": [(0, 0), (1, 0), (1, 1)],
}


def sample(*labels: str, image: Image | None = None) -> Sample:
    instances = tuple(Instance(label=label, shape=SHAPES[label]) for label in labels)
    return Sample(key="a", image=image or Image(data=png(PICTURE), width=5, height=3), instances=instances)


def test_arrays_have_x_before_y() -> None:
    image, target = sample(*SHAPES).to_numpy(image_id=-5)
    assert (image.shape, image.dtype) == ((5, 3, 3), np.uint8)
    assert all(image[x, y].tolist() == [10 * x, 100 * y, 7] for x in range(5) for y in range(3))
    assert (target["masks"].shape, target["masks"].dtype) == ((7, 5, 3), np.uint8)
    for mask, pixels in zip(target["masks"], PIXELS.values(), strict=True):
        assert list(map(tuple, np.argwhere(mask).tolist())) == pixels
    assert target["masks"].max() == 1
    assert (target["class_ids"].tolist(), target["class_ids"].dtype) == ([1, 2, 3, 4, 5, 6, 7], np.int64)
    assert (target["image_id"].shape, target["image_id"].dtype, target["image_id"]) == ((), np.int64, -5)
    assert target.keys() == {"masks", "class_ids", "image_id"}


def test_labels_are_numbered_from_1_as_they_come() -> None:
    assert sample("dog", "cat", "dog", "hen").to_numpy()[1]["class_ids"].tolist() == [1, 2, 1, 3]


def test_classes_say_the_ids() -> None:
    classes = {"cat": 40, "dog": 0, "hen": -1}
    assert sample("dog", "cat", "dog").to_numpy(classes)[1]["class_ids"].tolist() == [0, 40, 0]
    with pytest.raises(KeyError, match="cow"):
        sample("cow").to_numpy(classes)


def test_a_sample_without_objects() -> None:
    _, target = sample().to_numpy()
    assert (target["masks"].shape, target["class_ids"].shape) == ((0, 5, 3), (0,))
    assert (target["masks"].dtype, target["class_ids"].dtype) == (np.uint8, np.int64)


def test_an_object_without_a_pixel_stays() -> None:
    none = Instance(label="cat", shape=Rle(height=3, width=5, counts=(15,)))
    _, target = Sample(key="a", image=Image(data=png(PICTURE)), instances=(none,)).to_numpy()
    assert target["masks"].shape == (1, 5, 3)
    assert not target["masks"].any()


def test_the_image_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(PICTURE))
    image, _ = sample(image=Image(path=tmp_path / "a.png", root=tmp_path)).to_numpy()
    assert np.array_equal(image, PICTURE.swapaxes(0, 1))


def test_the_frame_says_which_way_round_the_image_was_annotated() -> None:
    file = io.BytesIO()
    exif = PillowImage.Exif()
    exif[0x0112] = 2
    PillowImage.fromarray(PICTURE).save(file, format="PNG", exif=exif)
    for frame, expected in ((Frame.STORED, PICTURE), (Frame.SHOWN, PICTURE[:, ::-1])):
        image, _ = sample(image=Image(data=file.getvalue(), frame=frame)).to_numpy()
        assert np.array_equal(image, expected.swapaxes(0, 1))
    with pytest.raises(ImageError) as caught:
        sample(image=Image(data=file.getvalue())).to_numpy()
    assert caught.value.code == "image-orientation-ambiguous"


WIDE = np.array([[1000 * x + 10_007 * y + 1 for x in range(5)] for y in range(3)], dtype=np.uint16)


def test_16_bits_are_kept_when_asked_for_and_never_cut_in_silence() -> None:
    wide = sample(image=Image(data=png(WIDE)))
    image, _ = wide.to_numpy(settings=ImageSettings(depth=16, channels=1))
    assert (image.dtype, image.shape) == (np.uint16, (5, 3, 1))
    assert image[..., 0].T.tolist() == WIDE.tolist()
    with pytest.raises(ImageError) as caught:
        wide.to_numpy()
    assert caught.value.code == "image-depth-loss"


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (Image(data=png(PICTURE), width=3, height=5), "image-size-differs"),
        (Image(data=b"no image"), "image-unreadable"),
        (Image(path=Path("missing.png")), "image-missing"),
        (Image(path=Path("../a.png"), root=Path("folder")), "image-outside-folder"),
    ],
)
def test_an_image_that_cannot_be_used_is_an_image_error(image: Image, code: str) -> None:
    with pytest.raises(ImageError) as caught:
        sample(image=image).to_numpy()
    assert caught.value.code == code


def test_a_shape_that_means_nothing_is_a_shape_error() -> None:
    wrong = Instance(label="cat", shape=Rle(height=5, width=3, counts=(15,)))
    with pytest.raises(ShapeError) as caught:
        Sample(key="a", image=Image(data=png(PICTURE)), instances=(wrong,)).to_numpy()
    assert caught.value.code == "mask-size-differs"


@pytest.mark.parametrize(
    "impossible",
    [
        pytest.param(lambda: Image(), id="an image of nothing"),
        pytest.param(lambda: Image(path=Path("a.png"), data=b""), id="an image of two origins"),
        pytest.param(lambda: Image(data=b"", width=0, height=3), id="an image of no width"),
        pytest.param(lambda: Rle(height=0, width=5, counts=()), id="run lengths of no height"),
        pytest.param(lambda: Rle(height=3, width=-5, counts=()), id="run lengths of a negative width"),
        pytest.param(lambda: Rle(height=3, width=5, counts=(1.5,)), id="half a run"),
        pytest.param(lambda: Region(source=b"", value=-1), id="a negative region"),
        pytest.param(lambda: Polygons(parts=((0, 0, 1, 1, 2, 0),), rasteriser="opencv"), id="another rasteriser"),
        pytest.param(lambda: Drawing(figure="star", points=()), id="an unknown figure"),
        pytest.param(lambda: Drawing(figure="line", points=(), thickness=0), id="a line of no width"),
        pytest.param(lambda: Union(members=(Union(members=()),)), id="a union of unions"),
        pytest.param(lambda: Union(members=(Box(x0=0, y0=0, x1=1, y1=1),)), id="a union of boxes"),
        pytest.param(lambda: Image(data=b"", frame="mirrored"), id="an unknown frame"),
        pytest.param(lambda: Box(x0=0, y0=0, x1=1, y1=1, angle=3), id="an unknown field"),
        pytest.param(lambda: Instance(label="cat", shape={"kind": "circle"}), id="an unknown shape"),
        pytest.param(lambda: Sample(key="a", image=Image(data=b""), label="cat"), id="an unknown field of a sample"),
    ],
)
def test_the_impossible_is_refused(impossible: Callable[[], Any]) -> None:
    with pytest.raises(ValidationError):
        impossible()


@pytest.mark.parametrize(
    "frozen", [*SHAPES.values(), sample("cat"), sample("cat").image], ids=lambda v: type(v).__name__
)
def test_a_sample_and_its_parts_do_not_change(frozen: Any) -> None:
    field = next(iter(type(frozen).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(frozen, field, getattr(frozen, field))


def test_a_sample_survives_being_written_down_as_json() -> None:
    plain = sample("cat", "dog", "cow", image=Image(path=Path("a.png"), width=5, height=3))
    assert Sample.model_validate_json(plain.model_dump_json()) == plain


class TestMeasure:
    """A 5 x 3 picture, stored on its side with EXIF orientation 6: viewers show it as 3 x 5."""

    @pytest.fixture
    def lying(self):
        exif = PillowImage.Exif()
        exif[ExifTags.Base.Orientation] = 6
        stream = io.BytesIO()
        PillowImage.new("RGB", (5, 3)).save(stream, "JPEG", exif=exif)
        return stream.getvalue()

    @pytest.mark.parametrize(
        ("fields", "size"),
        [
            ({}, (5, 3)),
            ({"frame": Frame.STORED}, (5, 3)),
            ({"frame": Frame.SHOWN}, (3, 5)),
            ({"frame": Frame.SHOWN, "width": 7, "height": 9}, (7, 9)),
            ({"frame": Frame.SHOWN, "width": 7}, (3, 5)),
        ],
    )
    def test_the_size_is_that_of_the_frame(self, lying, fields, size):
        assert Image(data=lying, **fields).measure() == size
