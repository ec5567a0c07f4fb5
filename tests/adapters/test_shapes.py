"""The generator against geometry worked out by hand; its COCO copy against pycocotools and its own pixels."""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pydantic import ValidationError
from ruamel.yaml import YAML

from maskflow_adapters.shapes import (
    GRAIN,
    INKS,
    PAPER,
    Figure,
    ShapesAdapter,
    ShapesOptions,
    compose,
    topmost,
    visible_instances,
)
from maskflow_convert.config import Splits
from maskflow_convert.plan import draw_split

CONFIGS = Path(__file__).parents[2] / "configs"
SHAPES_COCO = CONFIGS / "shapes-coco"
WOOD = (166, 146, 122)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
"""pycocotools' `decode` under NumPy 2."""


def figure(label, x=20, y=20, radius=8, colour=INKS[0]):
    return Figure(label, x, y, radius, colour)


def instances_of(figures, width, height):
    masks = [each.mask(width, height) for each in figures]
    return list(visible_instances(figures, masks, topmost(masks, width, height)))


def dense(rle):
    """pycocotools' reading of a shape, as `[height, width]`."""
    encoded = coco_mask.frPyObjects(
        {"size": [rle.height, rle.width], "counts": list(rle.counts)}, rle.height, rle.width
    )
    return coco_mask.decode(encoded).astype(bool)


def pixels_of(sample):
    return np.asarray(Image.open(io.BytesIO(sample.image.data))).astype(int)


def distance(pixels, colour):
    """How far the pixels are from a colour, in the channel that differs most."""
    return np.abs(pixels.astype(int) - colour).max(axis=-1)


def grown(mask):
    """The mask and its neighbours to the left and right, above and below, and at the corners."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.logical_or.reduce(
        [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)],
    )


@pytest.fixture(scope="module")
def samples():
    adapter = ShapesAdapter(ShapesOptions(count=40))
    return [adapter.read(entry.record) for entry in adapter.index().entries]


class TestFigures:
    def test_square_covers_the_pixels_of_its_box(self):
        expected = np.zeros((30, 50), dtype=bool)
        expected[4:20, 32:48] = True
        np.testing.assert_array_equal(figure("square", x=40, y=12).mask(50, 30), expected)

    def test_square_owns_the_centres_on_its_left_and_upper_edge_only(self):
        y, x = np.nonzero(figure("square", x=20.5, y=12.5).mask(50, 30))
        assert (x.min(), x.max() + 1, y.min(), y.max() + 1) == (12, 28, 4, 20)

    def test_triangle_widens_by_two_pixels_every_two_rows_from_its_apex_down(self):
        rows = figure("triangle").mask(50, 30).sum(axis=1)
        assert rows.tolist() == [0] * 12 + [0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14, 16] + [0] * 2

    def test_triangle_is_symmetric_about_its_apex(self):
        mask = figure("triangle", x=25).mask(50, 30)
        np.testing.assert_array_equal(mask, mask[:, ::-1])

    @pytest.mark.parametrize(
        ("label", "area"), [("circle", math.pi * 40**2), ("square", 80 * 80), ("triangle", 80 * 80 / 2)]
    )
    def test_area_is_that_of_geometry_on_average_over_a_pixel(self, label, area):
        shifts = np.linspace(0, 1, 8, endpoint=False)
        masks = [figure(label, 101 + dx, 47 + dy, radius=40).mask(160, 100) for dx in shifts for dy in shifts]
        assert np.mean([mask.sum() for mask in masks]) == pytest.approx(area, rel=0.002)

    @pytest.mark.parametrize("label", ["circle", "square", "triangle"])
    def test_fills_its_box(self, label):
        y, x = np.nonzero(figure(label, x=101, y=48, radius=40).mask(160, 100))
        assert (x.min(), x.max() + 1) == (61, 141)
        assert y.max() + 1 == 88
        assert y.min() == (9 if label == "triangle" else 8)  # at (101, 8.25) the apex is half a pixel wide

    def test_circle_agrees_with_the_distance_to_its_centre(self):
        mask = figure("circle", x=20.25, y=12.5).mask(50, 30)
        assert all(
            mask[y, x] == (math.dist((x + 0.5, y + 0.5), (20.25, 12.5)) < 8) for y in range(30) for x in range(50)
        )

    @pytest.mark.parametrize(("width", "height"), [(160, 120), (120, 160), (32, 32), (32, 400)])
    def test_composed_figures_lie_within_the_image_in_colours_of_their_own(self, width, height):
        for seed in range(200):
            figures = compose(np.random.default_rng(seed), width, height)
            assert 3 <= len(figures) <= 5
            assert len({each.colour for each in figures}) == len(figures)
            for each in figures:
                assert each.radius >= 3.2
                assert each.radius <= each.x <= width - each.radius
                assert each.radius <= each.y <= height - each.radius


class TestOcclusion:
    def test_later_figures_hide_earlier_ones(self):
        behind, before = instances_of([figure("square", x=20), figure("square", x=26)], 50, 40)
        assert dense(behind.shape).sum() == 6 * 16
        assert dense(before.shape).sum() == 16 * 16
        assert behind.attributes == {"occluded": True}
        assert before.attributes == {"occluded": False}

    def test_a_figure_wholly_hidden_is_no_instance(self):
        (seen,) = instances_of([figure("circle", radius=5), figure("square", radius=6)], 50, 40)
        assert seen.label == "square"

    def test_a_figure_cut_in_two_is_one_instance(self):
        layers = [
            figure("square", radius=12),
            figure("square", y=20, radius=4),
            figure("circle", x=45, radius=3),
        ]
        behind, *_ = instances_of(layers, 50, 40)
        assert dense(behind.shape).sum() == 24 * 24 - 8 * 8


class TestAdapter:
    def test_index(self):
        index = ShapesAdapter(ShapesOptions(count=3, size=(64, 48))).index()
        assert tuple(index.labels) == ("circle", "square", "triangle")
        assert [(e.key, e.record, e.id, e.split, e.pixels) for e in index.entries] == [
            ("shapes-000000.png", 0, None, None, 3072),
            ("shapes-000001.png", 1, None, None, 3072),
            ("shapes-000002.png", 2, None, None, 3072),
        ]

    def test_twenty_images_unless_told_otherwise(self):
        assert len(ShapesAdapter(ShapesOptions()).index().entries) == 20

    def test_sample_has_the_key_of_its_entry(self, samples):
        entries = ShapesAdapter(ShapesOptions(count=40)).index().entries
        assert [sample.key for sample in samples] == [entry.key for entry in entries]

    def test_image_is_a_png_of_the_size_stated(self):
        image = ShapesAdapter(ShapesOptions(size=(90, 70))).read(0).image
        decoded = Image.open(io.BytesIO(image.data))
        assert (decoded.format, decoded.mode, decoded.size) == ("PNG", "RGB", (90, 70))
        assert (image.width, image.height) == (90, 70)

    def test_masks_are_disjoint(self, samples):
        for sample in samples:
            covered = np.zeros((120, 160), dtype=int)
            for instance in sample.instances:
                covered += dense(instance.shape)
            assert covered.max() <= 1

    def test_each_mask_is_all_pixels_of_one_ink(self, samples):
        for sample in samples:
            pixels = pixels_of(sample)
            for instance in sample.instances:
                mask = dense(instance.shape)
                (ink,) = [ink for ink in INKS if (distance(pixels[mask], ink) <= GRAIN).any()]
                np.testing.assert_array_equal(mask, distance(pixels, ink) <= GRAIN)

    def test_the_rest_is_paper(self, samples):
        for sample in samples:
            figures = np.zeros((120, 160), dtype=bool)
            for instance in sample.instances:
                figures |= dense(instance.shape)
            np.testing.assert_array_equal(~figures, distance(pixels_of(sample), PAPER) <= GRAIN)

    def test_every_seventh_image_has_no_object(self, samples):
        assert [n for n, sample in enumerate(samples) if not sample.instances] == [6, 13, 20, 27, 34]

    def test_shows_every_label_occluded_and_in_full_view(self, samples):
        seen = {(i.label, i.attributes["occluded"]) for sample in samples for i in sample.instances}
        assert seen == {(label, hidden) for label in ("circle", "square", "triangle") for hidden in (True, False)}

    def test_another_process_draws_the_same(self, samples):
        adapter = ShapesAdapter(ShapesOptions(count=40))
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert list(pool.map(adapter.read, [5, 6, 0])) == [samples[5], samples[6], samples[0]]

    def test_more_images_change_none_before(self, samples):
        few = ShapesAdapter(ShapesOptions(count=2))
        assert [few.read(entry.record) for entry in few.index().entries] == samples[:2]

    def test_all_images_differ(self, samples):
        assert len({sample.image.data for sample in samples}) == len(samples)

    def test_another_seed_draws_other_images(self, samples):
        assert ShapesAdapter(ShapesOptions(seed=1)).read(0).instances != samples[0].instances

    @pytest.mark.parametrize(
        ("options", "place"),
        [
            ({"count": 0}, ("count",)),
            ({"seed": -1}, ("seed",)),
            ({"size": (160, 31)}, ("size", 1)),
            ({"size": (160, 120, 3)}, ("size",)),
            ({"sizes": (160, 120)}, ("sizes",)),
        ],
    )
    def test_refuses(self, options, place):
        with pytest.raises(ValidationError) as caught:
            ShapesOptions(**options)
        assert [error["loc"] for error in caught.value.errors()] == [place]


@pytest.fixture(scope="module")
def coco():
    return COCO(SHAPES_COCO / "instances.json")


@pytest.fixture(scope="module")
def document():
    return json.loads((SHAPES_COCO / "instances.json").read_text(encoding="utf-8"))


def read_pixels(entry, mode="RGB"):
    with Image.open(SHAPES_COCO / "images" / entry["file_name"]) as image:
        return np.asarray(image.convert(mode)).astype(int)


def is_colour_png(entry):
    return entry["file_name"].endswith(".png") and not entry["file_name"].startswith("grey")


def encoding(annotation):
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return "polygon" if len(segmentation) == 1 else "polygons"
    crowd = "crowd " if annotation["iscrowd"] else ""
    return crowd + ("uncompressed" if isinstance(segmentation["counts"], list) else "compressed")


class TestCocoCopy:
    def test_is_small(self):
        assert sum(path.stat().st_size for path in SHAPES_COCO.rglob("*") if path.is_file()) < 250_000

    def test_category_ids_have_gaps(self, document):
        names = {category["id"]: category["name"] for category in document["categories"]}
        assert names == {1: "circle", 3: "square", 90: "triangle"}

    def test_holds_every_encoding(self, document):
        assert Counter(map(encoding, document["annotations"])) == {
            "polygon": 21,
            "polygons": 4,
            "compressed": 6,
            "uncompressed": 9,
            "crowd uncompressed": 1,
        }

    def test_every_category_is_annotated(self, document):
        assert {annotation["category_id"] for annotation in document["annotations"]} == {1, 3, 90}

    def test_figures_in_full_view_fill_their_boxes_as_their_category_does(self, document):
        share = {1: math.pi / 4, 3: 1, 90: 1 / 2}
        for annotation in document["annotations"]:
            if encoding(annotation) == "polygon":
                *_, width, height = annotation["bbox"]
                filled = annotation["area"] / (width * height)
                assert filled == pytest.approx(share[annotation["category_id"]], abs=0.05), annotation["id"]

    def test_one_image_has_no_annotation(self, coco):
        empty = [image["file_name"] for image in coco.imgs.values() if not coco.getAnnIds(image["id"])]
        assert empty == ["empty-108.png"]

    def test_ids_are_unique(self, document):
        for name in ("images", "annotations", "categories"):
            ids = [entry["id"] for entry in document[name]]
            assert len(set(ids)) == len(ids)

    def test_images_are_those_listed(self, document):
        folder = SHAPES_COCO / "images"
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert files == {image["file_name"] for image in document["images"]}

    def test_images_have_the_size_listed(self, document):
        for entry in document["images"]:
            assert read_pixels(entry).shape == (entry["height"], entry["width"], 3)

    def test_images_are_of_many_kinds(self, document):
        kinds = set()
        for entry in document["images"]:
            with Image.open(SHAPES_COCO / "images" / entry["file_name"]) as image:
                shape = "portrait" if image.height > image.width else "landscape"
                kinds.add((image.format, image.mode, shape, "/" in entry["file_name"]))
        assert {
            ("PNG", "RGB", "landscape", False),
            ("PNG", "L", "landscape", False),
            ("PNG", "RGB", "portrait", True),
            ("JPEG", "RGB", "portrait", True),
        } <= kinds

    def test_area_and_box_are_those_of_the_mask(self, coco):
        for annotation in coco.anns.values():
            mask = coco.annToMask(annotation)
            y, x = np.nonzero(mask)
            assert annotation["area"] == mask.sum() > 0
            assert annotation["bbox"] == [
                x.min(),
                y.min(),
                x.max() - x.min() + 1,
                y.max() - y.min() + 1,
            ]

    def test_masks_are_of_one_colour_within(self, coco):
        """JPEG may blur two pixels at an edge; polygons may be rounded otherwise than the drawing was."""
        for annotation in coco.anns.values():
            if not annotation["iscrowd"]:
                pixels = read_pixels(coco.imgs[annotation["image_id"]])
                mask = coco.annToMask(annotation).astype(bool)
                inner = ~grown(grown(~mask))
                colour = np.median(pixels[mask], axis=0)
                assert (distance(pixels[inner], colour) <= 25).all(), annotation["id"]

    @pytest.mark.parametrize(
        ("encodings", "least"), [({"compressed", "uncompressed"}, 1), ({"polygon", "polygons"}, 0.88)]
    )
    def test_masks_fit_what_is_drawn(self, coco, encodings, least):
        """pycocotools rounds slanted edges to other pixels than those whose centres lie inside."""
        fits = {}
        for annotation in coco.anns.values():
            entry = coco.imgs[annotation["image_id"]]
            if encoding(annotation) in encodings and is_colour_png(entry):
                pixels = read_pixels(entry)
                mask = coco.annToMask(annotation).astype(bool)
                drawn = (distance(pixels, np.median(pixels[mask], axis=0)) <= 2 * GRAIN) & grown(mask)
                fits[annotation["id"]] = (mask & drawn).sum() / (mask | drawn).sum()
        assert len(fits) >= 5
        assert min(fits.values()) >= least, fits

    def test_no_figure_is_without_annotation(self, coco):
        for entry in coco.imgs.values():
            if is_colour_png(entry):
                pixels = read_pixels(entry)
                ground = np.minimum(distance(pixels, PAPER), distance(pixels, WOOD)) <= GRAIN
                for annotation in coco.imgToAnns[entry["id"]]:
                    ground |= grown(coco.annToMask(annotation).astype(bool))
                assert ground.all(), entry["file_name"]

    def test_the_crowd_is_a_heap_of_many_colours_that_no_instance_shares(self, coco):
        (crowd,) = [annotation for annotation in coco.anns.values() if annotation["iscrowd"]]
        mask = coco.annToMask(crowd).astype(bool)
        pixels = read_pixels(coco.imgs[crowd["image_id"]])[mask]
        inks = np.stack([distance(pixels, ink) <= GRAIN for ink in INKS])
        assert (inks.sum(axis=0) == 1).all()
        assert inks.any(axis=1).all()
        shared = [coco.annToMask(a) & mask for a in coco.imgToAnns[crowd["image_id"]] if a is not crowd]
        assert sum(overlap.sum() for overlap in shared) == 0

    def test_polygons_of_many_parts_leave_a_gap(self, coco):
        for annotation in coco.anns.values():
            if encoding(annotation) == "polygons":
                mask = coco.annToMask(annotation).astype(bool)
                x, y, width, height = map(int, annotation["bbox"])
                box = mask[y : y + height, x : x + width]
                gaps = [int((~box.any(axis=axis)).sum()) for axis in (0, 1)]
                assert gaps in ([14, 0], [0, 10])

    def test_each_annotation_has_a_line_of_its_own(self, document):
        lines = (SHAPES_COCO / "instances.json").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line.rstrip(",")) for line in lines if '"image_id"' in line]
        assert found == document["annotations"]

    def test_is_what_its_script_draws(self, tmp_path):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, SHAPES_COCO / "draw.py", tmp_path], env=environment, check=True)
        drawn = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
        kept = sorted(
            path.relative_to(SHAPES_COCO) for path in SHAPES_COCO.rglob("*") if path.suffix in {".json", ".png", ".jpg"}
        )
        assert drawn == kept
        for path in drawn:
            if path.suffix == ".json":
                assert (tmp_path / path).read_text() == (SHAPES_COCO / path).read_text()
            else:
                with Image.open(tmp_path / path) as new, Image.open(SHAPES_COCO / path) as old:
                    assert new.mode == old.mode
                    np.testing.assert_array_equal(np.asarray(new), np.asarray(old))


class TestConfigs:
    def test_shapes_options_are_valid(self):
        (source,) = YAML(typ="safe").load(CONFIGS / "shapes.yaml")["sources"]
        assert source.pop("adapter") == "shapes"
        assert ShapesOptions(**source) == ShapesOptions()

    def test_coco_paths_exist(self):
        (source,) = YAML(typ="safe").load(CONFIGS / "coco.yaml")["sources"]
        assert source["adapter"] == "coco"
        assert (CONFIGS / source["annotations"]).samefile(SHAPES_COCO / "instances.json")
        assert (CONFIGS / source["images"]).samefile(SHAPES_COCO / "images")

    def test_every_split_gets_an_image(self, document):
        shapes = [entry.key for entry in ShapesAdapter(ShapesOptions()).index().entries]
        for name, keys in {"coco": [i["file_name"] for i in document["images"]], "shapes": shapes}.items():
            splits = Splits.model_validate(YAML(typ="safe").load(CONFIGS / f"{name}.yaml")["splits"])
            assert {draw_split(splits, key) for key in keys} == {"train", "val"}

    @pytest.mark.parametrize("name", ["coco", "shapes"])
    def test_output_goes_to_build(self, name):
        output = YAML(typ="safe").load(CONFIGS / f"{name}.yaml")["output"]
        assert (CONFIGS / output["directory"]).resolve() == CONFIGS.parent / "build" / name
