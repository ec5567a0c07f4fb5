"""The catalogue of all that can be wrong with data: a code for each kind, how bad it is, what it means and what to do.

Codes are stable: a YAML may set their severity, and scripts may match on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad an issue is.

    An `error` stops the run, or drops the object or image, as `on_error` says. A `warning` is listed. What is to be
    ignored is not listed, unless an object or image is lost by it: a loss is always listed.
    """

    ERROR = "error"
    WARNING = "warning"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of issue.

    Attributes:
        code: names it, for ever.
        severity: how bad it is, unless the YAML says otherwise.
        meaning: what is wrong, in a line.
        example: a case of it.
        remedy: what to do.
    """

    code: str
    severity: Severity
    meaning: str
    example: str
    remedy: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.IGNORE

SUBJECTS: Mapping[str, tuple[Rule, ...]] = {
    "The source as a whole": (
        Rule(
            "image-id-duplicate", _E,
            "Two images of one source have the same id.",
            "`a.png` and `b.png` both have the id 7",
            "Give each image an id of its own: annotations of the second cannot be told from those of the first.",
        ),
        Rule(
            "image-key-duplicate", _E,
            "Two entries of one source name the same image file.",
            "`a.png` is listed with the id 7, and again with the id 8",
            "Remove one of the entries, or merge their annotations.",
        ),
        Rule(
            "image-name-ambiguous", _E,
            "Two image files differ in their suffix alone, and share one annotation.",
            "`cell.png` and `cell.jpg` lie in one folder, beside `cell.xml`",
            "Rename one of the files, or remove it.",
        ),
        Rule(
            "split-ambiguous", _W,
            "An image is listed in more than one split.",
            "`2007_000032` is in `train.txt` and in `val.txt`",
            "Take it from all lists but one; it went to the split that is named.",
        ),
        Rule(
            "category-id-duplicate", _E,
            "Two categories have the same id and different names.",
            "category 3 is `car`, and further down `truck`",
            "Give each category an id of its own: nobody can tell what the objects of this one are.",
        ),
        Rule(
            "annotation-id-duplicate", _W,
            "Two annotations have the same id; both are kept.",
            "two annotations have the id 12",
            "Number the annotations anew, or remove the copy.",
        ),
        Rule(
            "annotation-orphaned", _E,
            "An annotation belongs to an image that is not listed.",
            "`image_id` is 99, and no image has the id 99",
            "List the image, or remove the annotation.",
        ),
        Rule(
            "annotation-broken", _E,
            "An annotation lacks a field, or a field is of the wrong type.",
            "`segmentation` is a text",
            "Correct the annotation at the place named.",
        ),
        Rule(
            "image-entry-broken", _E,
            "The entry of an image lacks a field, or a field is of the wrong type.",
            "an image without a `file_name`, or with a `width` of 0",
            "Correct the entry at the place named; annotations that name this image are lost with it.",
        ),
        Rule(
            "category-broken", _E,
            "A category lacks a field, or a field is of the wrong type.",
            "a category without a `name`",
            "Correct the category at the place named.",
        ),
        Rule(
            "category-unknown", _E,
            "An annotation has a category id that is not listed, or is that of two categories.",
            "`category_id` is 4, and the categories are 1, 2 and 3",
            "Add the category, or correct the annotation.",
        ),
        Rule(
            "class-unknown", _E,
            "A label is not among `classes.names`.",
            "a label `disc`, where `classes.names` is `[circle, square]`",
            "Add the class, rename the label with `classes.rename`, or set `classes.unknown: skip`.",
        ),
        Rule(
            "file-foreign", _W,
            "A JSON file in the folder of annotations holds none.",
            "a `settings.json` among LabelMe's files",
            "Move it out of the folder; it was passed over.",
        ),
    ),
    "The data set as a whole": (
        Rule(
            "class-unused", _W,
            "Some classes have no object.",
            "`classes.names` has `triangle`, and nothing is one",
            "Remove them from `classes.names` or the source, unless they are kept for data to come.",
        ),
        Rule(
            "class-few-objects", _W,
            "Some classes have fewer than 10 objects.",
            "3 objects are mitoses, and 5,000 are cells",
            "Annotate more of them, or merge classes with `classes.rename`.",
        ),
        Rule(
            "class-imbalance", _W,
            "The most frequent class has over 100 times as many objects as the rarest.",
            "4,000 objects of the class `cell`, 12 of the class `mitosis`",
            "Weight the classes in training, or merge rare ones with `classes.rename`.",
        ),
        Rule(
            "class-not-in-split", _W,
            "A split has no object of some classes that others have.",
            "all 12 mitoses are in `train`, and none is in `val`",
            "Choose other shares or another seed in `splits:`, or annotate more objects of the class.",
        ),
        Rule(
            "class-names-similar", _W,
            "Two classes have names that differ in case or white space only.",
            "`Red cell` and `redcell`",
            "Merge them with `classes.rename`, if they mean the same.",
        ),
        Rule(
            "basename-duplicate", _W,
            "Two images have the same file name in different folders.",
            "`monday/001.png` and `tuesday/001.png`",
            "Rename one of them if something looks records up by `image/basename`: only their ids differ.",
        ),
        Rule(
            "image-content-duplicate", _W,
            "Two image files have the same content.",
            "`001.png` and `001 (copy).png`",
            "Keep one of them, and the annotations of both.",
        ),
        Rule(
            "image-in-two-splits", _W,
            "An image of one split has the content of an image of another.",
            "`a.png` in `train` and `b.png` in `val` are copies of one file",
            "Remove one of them: what is tested on must not be trained on.",
        ),
        Rule(
            "mask-small-for-class", _W,
            "An object is 1,024 times smaller than half of the objects of its class.",
            "an object of 3 pixels, where half of its class have 4,096 or more",
            "Look at it: a slip of the mouse makes such objects.",
        ),
    ),
    "The annotation of an image": (
        Rule(
            "record-broken", _E,
            "The annotation record of an image cannot be read.",
            "an XML file that ends within a tag",
            "Correct the record at the place named.",
        ),
        Rule(
            "adapter-failed", _E,
            "The adapter raised an unexpected exception on a record.",
            "a plugin raises `KeyError: 'points'`",
            "Report it to the adapter's author with the message; the other images are not affected.",
        ),
        Rule(
            "record-too-large", _E,
            "The record would pass 2 GiB, which protobuf cannot hold.",
            "an image of 20,000 x 20,000 pixels with 10 objects that cover it",
            "Tile the image, or split its objects over several records.",
        ),
        Rule(
            "record-malformed", _E,
            "A written record is not a `tf.train.Example`, or not one of this format.",
            "the first bytes of a record are those of a PNG",
            "Convert the data set again; if the file comes from another tool, mend that.",
        ),
        Rule(
            "annotation-missing", _W,
            "A listed image has neither an annotation file nor an instance mask.",
            "`ImageSets/Main/train.txt` lists `cell_7`, and there is no `cell_7.xml`",
            "Annotate it or take it from the list; or nothing, if it shows no object. It is written without one.",
        ),
        Rule(
            "objects-masks-disagree", _W,
            "The objects of the annotation file are not those of the instance mask.",
            "the XML has 3 objects, the mask the numbers 1 to 4",
            "Look at both: classes were taken from the class mask, attributes by the place of the boxes.",
        ),
        Rule(
            "void-inside-object", _W,
            "A wide piece of void lies within one object and touches nothing else.",
            "a spot of 20 x 20 pixels of the value 255 in the middle of a car",
            "Look at it: fill it, if it is a slip of the brush, or paint it as background, if it is a hole.",
        ),
        Rule(
            "group-labels-differ", _W,
            "Shapes of one group have different labels, which makes them different objects.",
            "of the shapes with the `group_id` 3, one is a `car` and one a `van`",
            "Give all parts of an object the same label, and each object a group of its own.",
        ),
        Rule(
            "origin-suspect", _W,
            "A box begins at 0, and the boxes are said to count pixels from 1.",
            "`<xmin>0</xmin>`, where boxes count from 1",
            "Set the adapter's `origin` to 0, or to `edges`, if the file was written so.",
        ),
    ),
    "The image": (
        Rule(
            "image-missing", _E,
            "The image file does not exist.",
            "`file_name` is `001.jpg`, and the file is `001.JPG`",
            "Copy the file to the place named, or correct `images` in the YAML.",
        ),
        Rule(
            "image-outside-folder", _E,
            "The image's name leads out of the image folder.",
            "`file_name` is `../../etc/passwd`",
            "Correct the name, or set the adapter's `images`; absolute names and `..` are refused.",
        ),
        Rule(
            "image-unreadable", _E,
            "The image file is damaged, truncated, or not an image.",
            "a download that was broken off: the last third is missing",
            "Replace the file.",
        ),
        Rule(
            "image-size-differs", _E,
            "The image has another size than its annotation says.",
            "640 x 480 pixels in the file, 480 x 640 in the annotation",
            "Annotate this image, or restore the one that was annotated; `fix` will do if only the axes are exchanged.",
        ),
        Rule(
            "image-orientation", _W,
            "An EXIF orientation was found, and the size decided whether to apply it.",
            "orientation 6, stored 400 x 300, annotated as 300 x 400",
            "Nothing, if the decision is right; else set `image.exif: apply` or `ignore`.",
        ),
        Rule(
            "image-orientation-ambiguous", _E,
            "An EXIF orientation was found, and the size cannot decide whether to apply it.",
            "orientation 3, upside down: the size is the same either way",
            "Set `image.exif: apply` if the image was annotated as viewers show it, else `ignore`.",
        ),
        Rule(
            "image-orientation-present", _E,
            "An EXIF orientation was found, and `image.exif` is `error`.",
            "a photograph taken with a telephone held upright",
            "Rotate the pixels and remove the tag, or choose another policy.",
        ),
        Rule(
            "image-depth-loss", _E,
            "The image has more than 8 bits a sample and `image.depth` is 8.",
            "a 16-bit TIFF of a microscope, where `image.depth` is 8",
            "Set `image.depth: 16` to keep them (grey images, RGB PNGs), or this code to `warning` to scale them.",
        ),
        Rule(
            "image-mode-unsupported", _E,
            "The image's samples cannot be kept faithfully in a PNG of the wanted kind.",
            "a TIFF of 32-bit floating-point numbers",
            "Convert the image to 8-bit or 16-bit samples yourself, choosing the range.",
        ),
        Rule(
            "image-alpha-dropped", _W,
            "The image is partly transparent, and its alpha channel was dropped.",
            "a PNG whose background is transparent",
            "Flatten the image onto a background if the hidden colours are not what should be seen.",
        ),
        Rule(
            "image-multiple-frames", _W,
            "The file holds several frames or pages, and the first was taken.",
            "a TIFF of 20 slices",
            "Export the frame that was annotated to a file of its own.",
        ),
        Rule(
            "image-too-large", _E,
            "The image has more pixels than are read, for fear of a decompression bomb.",
            "a PNG of a few bytes that claims 100,000 x 100,000 pixels",
            "Tile the image; or raise `image.max_pixels`, if the message names it.",
        ),
        Rule(
            "image-uniform", _W,
            "All pixels of the image have the same colour.",
            "a frame that was taken with the shutter closed",
            "Look at the file: an export or a camera may have failed.",
        ),
        Rule(
            "image-without-objects", _W,
            "The image has no object.",
            "a field of view without a cell, or one that nobody has annotated yet",
            "Nothing, if there is nothing to annotate; else annotate it. `ignore` this code if that is usual.",
        ),
        Rule(
            "image-skipped", _W,
            "One of the objects has an error, and `on_error` is `skip-image`.",
            "one of the 12 objects of `a.png` has a polygon of two points",
            "Mend the object; another issue names it.",
        ),
    ),
    "The object": (
        Rule(
            "object-lost-with-image", _I,
            "The object was dropped because its image was.",
            "the 12 objects of an image that is missing",
            "Mend what is wrong with the image; another issue names it.",
        ),
        Rule(
            "object-crowd", _W,
            "The object is a crowd region, and `objects.crowd` is `skip`.",
            "`iscrowd` is 1",
            "Nothing; or set `objects.crowd: keep` to write crowds as objects.",
        ),
        Rule(
            "object-difficult", _W,
            "The object is marked as difficult, and `objects.difficult` is `skip`.",
            "`<difficult>1</difficult>`",
            "Nothing; or set `objects.difficult: keep` to write such objects as all others.",
        ),
        Rule(
            "object-class-missing", _E,
            "Nothing tells the class of an object that has a mask.",
            "number 4 in `SegmentationObject`, and no XML file or class mask",
            "Give the adapter's `labels`, or mend the class mask or the list of objects.",
        ),
        Rule(
            "object-box-only", _E,
            "The object has a box and no mask.",
            "a `<bndbox>` in an image without masks",
            "Set `objects.boxes` to `rectangle` to fill the box, or to `skip`.",
        ),
        Rule(
            "object-ignored", _W,
            "The object has a label that the format reserves for what is to be ignored.",
            "a LabelMe shape with the label `__ignore__`",
            "Nothing; or label it as what it is.",
        ),
        Rule(
            "object-without-area", _E,
            "The object is a point or a line, which covers no area.",
            "a LabelMe shape of the type `point`",
            "Draw an outline, set the adapter's `point_radius` or `line_width`, or set this code to `warning`.",
        ),
        Rule(
            "object-shape-missing", _E,
            "The object has neither a mask nor a box.",
            "an annotation whose `segmentation` is `[]`, without a `bbox`",
            "Annotate it, or remove it.",
        ),
        Rule(
            "mask-empty", _W,
            "The object has no pixel.",
            "a polygon that lies between the centres of pixels",
            "Remove it or enlarge it; it would train on nothing.",
        ),
        Rule(
            "mask-unreadable", _E,
            "The file or the bytes that hold a mask cannot be read.",
            "a PNG in base64 that was cut",
            "Replace it.",
        ),
        Rule(
            "mask-size-differs", _E,
            "The run lengths, or the label image, are of another size than the image.",
            "`size` is `[640, 480]`, and the image has 480 rows",
            "Export the mask at the size of the image.",
        ),
        Rule(
            "mask-patch-differs", _E,
            "A mask that covers a part of the image has another size than its place there.",
            "a patch of 30 x 20 pixels between the points (10, 10) and (19, 19)",
            "Draw it again; or set this code to `warning` to put it where its top-left corner should be.",
        ),
        Rule(
            "mask-outside-image", _W,
            "A mask that covers a part of the image leaves it; what is outside is cut.",
            "a patch of 30 x 20 pixels that begins at the last column",
            "Check that the annotation belongs to this image, at this size.",
        ),
        Rule(
            "mask-too-laborious", _E,
            "With the masks before it, the mask takes longer to draw than those of an image may.",
            "1,000 polygons with points at (300,000, 600,000), far outside of the image",
            "Correct the points; or tile the image, if there is so much to be seen in it.",
        ),
        Rule(
            "box-invalid", _E,
            "A box has a coordinate that is not finite, or a negative size.",
            "a `bbox` of the width -3",
            "Correct the box.",
        ),
        Rule(
            "polygon-too-few-points", _E,
            "A polygon has no part of three points or more, or a figure has fewer than two.",
            "`[[10, 10, 20, 20]]`",
            "Draw it again, or remove it.",
        ),
        Rule(
            "polygon-part-dropped", _W,
            "A part of a polygon has fewer than three points; the other parts are kept.",
            "`[[1, 1, 9, 1, 9, 9], [3, 3]]`",
            "Remove the part.",
        ),
        Rule(
            "polygon-odd-length", _E,
            "A polygon's or figure's list of coordinates has an odd length.",
            "`[[10, 10, 20, 20, 30]]`",
            "Correct the list: it alternates x and y.",
        ),
        Rule(
            "polygon-not-finite", _E,
            "A polygon or figure has a coordinate that is NaN or infinite.",
            "`[[10, 10, NaN, 20, 30, 30]]`",
            "Correct the coordinate.",
        ),
        Rule(
            "polygon-too-far", _E,
            "A polygon or figure goes further out than the rasteriser can bear.",
            "a coordinate of 1e9",
            "Correct the coordinate.",
        ),
        Rule(
            "polygon-outside-image", _W,
            "A polygon or figure leaves the image; what is outside is cut.",
            "x = 645.2, where the image has 640 columns",
            "Check that the annotation belongs to this image, at this size.",
        ),
        Rule(
            "polygon-normalised", _E,
            "All coordinates of a polygon or figure lie in 0..1, in an image of many pixels.",
            "`[[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]` in an image of 640 x 480 pixels",
            "Multiply them with the width and the height of the image: they are shares of these.",
        ),
        Rule(
            "polygon-self-intersecting", _W,
            "The outline of a polygon crosses itself.",
            "the points of a rectangle in the order of an hourglass",
            "Draw it again; or set this code to `fix` to keep what the format's rasteriser fills of it.",
        ),
        Rule(
            "polygon-zero-area", _W,
            "The outline of a polygon encloses nothing: its points lie on a line.",
            "`[[10, 10, 20, 20, 30, 30]]`",
            "Draw it again, or remove the part.",
        ),
        Rule(
            "polygon-points-repeated", _W,
            "A polygon has the same point twice in succession.",
            "`[[10, 10, 10, 10, 20, 10, 20, 20]]`",
            "Remove the second; or set this code to `fix`.",
        ),
        Rule(
            "polygon-part-without-pixels", _W,
            "A part of a polygon gives no pixel, and others do.",
            "two outlines, of which one is thinner than a pixel",
            "Remove the part or enlarge it; or set this code to `fix` to drop it.",
        ),
        Rule(
            "rle-zero-run", _W,
            "A run length other than the first is 0.",
            "`counts` is `[100, 20, 0, 30, 50]`",
            "Join the runs on both sides of it; or set this code to `fix`.",
        ),
        Rule(
            "mask-hole-lost", _W,
            "A part of a polygon lies within another. It is filled: polygons have no holes.",
            "a ring drawn as an outer and an inner outline",
            "Export the mask as run lengths, if a hole was meant; else remove the part.",
        ),
        Rule(
            "mask-outside-box", _W,
            "The mask has no pixel in the box that the annotation gives it.",
            "the mask lies at the left edge, its `bbox` at the right",
            "Look at both: they may belong to two objects, or to two sizes of the image.",
        ),
        Rule(
            "mask-box-differs", _W,
            "The box around the mask is not the box that the annotation gives it.",
            "the polygon was edited, and `bbox` was not",
            "Look at both. The mask is what is written; the box is not.",
        ),
        Rule(
            "mask-area-differs", _W,
            "The mask does not have the number of pixels that the annotation gives it.",
            "`area` is 926, and the mask has 3,948 pixels",
            "Look at the mask. It is what is written; the stated area is not.",
        ),
        Rule(
            "mask-covers-image", _W,
            "The mask covers the whole image, or leaves less than a hundredth of it.",
            "an outline around the whole image",
            "Remove it, if it is the background.",
        ),
        Rule(
            "mask-specks", _W,
            "The mask has many pieces of a few pixels.",
            "a mask made by a threshold, with the noise",
            "Draw it again, or remove the specks.",
        ),
        Rule(
            "mask-duplicate", _W,
            "Two objects of an image have the same mask: IoU over 0.95.",
            "an object that was annotated twice, as `car` and as `van`",
            "Remove one of them, or correct the one that is not there.",
        ),
        Rule(
            "rle-sum-differs", _E,
            "The run lengths do not add up to the number of pixels.",
            "`counts` adds up to 300,000 in an image of 640 x 480 = 307,200 pixels",
            "Export the mask again.",
        ),
        Rule(
            "rle-negative-run", _E,
            "A run length is negative.",
            "`counts` is `[100, -20, 120]`",
            "Export the mask again.",
        ),
        Rule(
            "rle-undecodable", _E,
            "The string of run lengths is not in COCO's compressed form.",
            "a `counts` with a letter `z`",
            "Export the mask again.",
        ),
    ),
    "Written records": (
        Rule(
            "shard-missing", _E,
            "A file that the manifest names is not there.",
            "`train-00001-of-00004.tfrecord` was not copied",
            "Copy the whole directory, or convert the data set again.",
        ),
        Rule(
            "shard-unlisted", _W,
            "A TFRecord file lies beside a data set that it does not belong to.",
            "`old.tfrecord` lies in the output directory",
            "Move it away: whoever trains on `*.tfrecord` trains on it too.",
        ),
        Rule(
            "shard-unreadable", _E,
            "A TFRecord file cannot be read, or not to its end.",
            "a GZIP file without its last 20 bytes",
            "Convert the data set again, or copy the file again from where it is whole.",
        ),
        Rule(
            "shard-changed", _E,
            "The SHA-256 of a file is not the one that the manifest states.",
            "one byte is not as it was written",
            "Convert the data set again, or copy the file again: it was damaged, exchanged or edited.",
        ),
        Rule(
            "shard-compression-differs", _E,
            "A file is compressed in another way than the manifest states.",
            "a plain file, where the manifest says gzip",
            "Compress all files alike, and as the manifest says: it tells readers how to open them.",
        ),
        Rule(
            "shard-count-differs", _E,
            "A file holds another number of records or objects than the manifest states.",
            "11 records, where the manifest says 12",
            "Convert the data set again; or copy the file again.",
        ),
        Rule(
            "manifest-count-differs", _E,
            "The counts of a split in the manifest are not those of its records.",
            "34 objects are in the records of `train`, the manifest says 35",
            "Convert the data set again, or restore its `dataset.json`.",
        ),
        Rule(
            "record-truncated", _E,
            "A file ends within a record.",
            "of the last record's 40,212 bytes there are 9,000",
            "Convert the data set again, or copy the file again from where it is whole.",
        ),
        Rule(
            "record-length-damaged", _E,
            "The length of a record is damaged; nothing after it can be read.",
            "a bit of record 3's length is wrong, and 7 of 10 records are lost",
            "Convert the data set again, or copy the file again. Check that it is a TFRecord file.",
        ),
        Rule(
            "record-checksum-differs", _E,
            "The bytes of a record do not match their checksum; the next can be read.",
            "a bit within the image of record 3 is wrong",
            "Convert the data set again, or copy the file again from where it is whole.",
        ),
        Rule(
            "record-feature-missing", _E,
            "A record lacks a feature of the format.",
            "there is no `image/n_objects`",
            "Mend the program that wrote it: all nine features are there in every record.",
        ),
        Rule(
            "record-feature-unknown", _W,
            "A record has a feature that the format does not.",
            "a tenth feature, `image/source`",
            "Leave it out; readers that take the nine features pass it over.",
        ),
        Rule(
            "record-feature-kind", _E,
            "A feature of a record holds values of another kind.",
            "`image/class_ids` is a list of float",
            "Mend the program that wrote it: names and images are bytes, all others int64.",
        ),
        Rule(
            "record-feature-count", _E,
            "A feature that has one value holds none, or several.",
            "`image/id` holds 2 numbers",
            "Mend the program that wrote it: all features but indices and class ids have one value.",
        ),
        Rule(
            "record-basename-invalid", _E,
            "The name of an image is empty, has a folder before it, or is not UTF-8.",
            "`train/a.png`",
            "Write the file name with its extension, and nothing else.",
        ),
        Rule(
            "record-shape-invalid", _E,
            "A width, height or channel is below 1, or a number of objects below 0.",
            "`image/width` is 0",
            "Mend the program that wrote it.",
        ),
        Rule(
            "record-image-unreadable", _E,
            "The image of a record is not a PNG, or is one that cannot be decoded.",
            "a JPEG in `image/image_bytes`",
            "Convert the data set again; if the file comes from another tool, write whole PNGs.",
        ),
        Rule(
            "record-image-differs", _E,
            "The PNG does not have the size, channels or depth that are stated for it.",
            "a PNG of 640 columns and 480 rows, `image/width` 480, in the layout `documented`",
            "Check the layout: `image/width` counts columns in `documented`, and rows in `rows_first`.",
        ),
        Rule(
            "record-indices-incomplete", _E,
            "The number of values in a record's indices is not a multiple of three.",
            "`image/masks_indices` holds 17 numbers",
            "Mend the program that wrote it: an index is the object and the two coordinates of a pixel.",
        ),
        Rule(
            "record-index-outside", _E,
            "An index lies outside the masks of its image.",
            "(0, 640, 12), where `image/width` is 640",
            "Check that the coordinates are exchanged neither in the indices nor in width and height.",
        ),
        Rule(
            "record-objects-differ", _E,
            "The indices name an object beyond `image/n_objects`.",
            "an index (2, 5, 5), where `image/n_objects` is 2",
            "Mend the program that wrote it: objects are counted from 0 to `image/n_objects` - 1.",
        ),
        Rule(
            "record-indices-unordered", _E,
            "The indices are not in lexicographic order.",
            "(0, 4, 2) before (0, 1, 0)",
            "Sort them by object, then by first and second coordinate: TensorFlow refuses them otherwise.",
        ),
        Rule(
            "record-index-repeated", _E,
            "An index is there more than once.",
            "(0, 1, 0) twice",
            "Write each pixel of an object once: TensorFlow refuses the record otherwise.",
        ),
        Rule(
            "record-mask-empty", _W,
            "An object of a record has no pixel.",
            "`image/n_objects` is 3, and no index begins with 2",
            "Leave it out with its class id; it would train on nothing.",
        ),
        Rule(
            "record-classes-differ", _E,
            "There are more or fewer class ids in a record than objects.",
            "3 class ids, 2 objects",
            "Write one class id for each object, in the order of the masks.",
        ),
        Rule(
            "record-class-unknown", _E,
            "The manifest has no class of the id that an object has.",
            "class id 91, where the manifest has 1 to 80",
            "Correct the class id, or the classes of the manifest.",
        ),
        Rule(
            "record-class-suspect", _W,
            "A class id is below 1, and 0 is background.",
            "class id 0",
            "Number the classes from 1.",
        ),
        Rule(
            "record-id-duplicate", _E,
            "Two records have the same image id.",
            "record 4 of `val` has the id of record 17 of `train`",
            "Give each image an id of its own; or leave out the file that repeats another.",
        ),
    ),
    "A `tf.data.Dataset` of your own": (
        Rule(
            "dataset-structure", _E,
            "An element is not `(image, {'masks', 'class_ids', 'image_id'})`.",
            "`(image, masks)`",
            "Map the data set to that structure.",
        ),
        Rule(
            "dataset-key-missing", _E,
            "The second part of an element lacks a key.",
            "there is no `image_id`",
            "Add it: `masks` [N, W, H], `class_ids` [N], `image_id` [].",
        ),
        Rule(
            "dataset-key-unknown", _W,
            "The second part of an element has a key that training does not know.",
            "`boxes`",
            "Leave it out, or do nothing: it is ignored.",
        ),
        Rule(
            "dataset-not-dense", _E,
            "A part of an element is ragged, sparse, or not a tensor.",
            "`masks` is a RaggedTensor",
            "Make it dense, as by `tf.sparse.to_dense` or `.to_tensor()`.",
        ),
        Rule(
            "dataset-batched", _E,
            "Each part of an element has one axis too many, as in batches.",
            "an image `[8, W, H, C]`, masks `[8, N, W, H]`",
            "Call `.unbatch()` on the data set: images, and numbers of objects, differ in size.",
        ),
        Rule(
            "dataset-rank", _E,
            "A part of an element has more or fewer axes than it should.",
            "a grey image `[W, H]`",
            "Reshape it: image [W, H, C], `masks` [N, W, H], `class_ids` [N], `image_id` [].",
        ),
        Rule(
            "dataset-type", _E,
            "A part of an element has a data type that training does not take.",
            "`class_ids` of float32",
            "Cast it: images uint8, uint16 or floating, masks and class ids to integers, the id to int64.",
        ),
        Rule(
            "dataset-empty", _E,
            "The data set has no element.",
            "a filter that lets nothing through",
            "Check what it is made from, and its filters.",
        ),
        Rule(
            "dataset-element-failed", _E,
            "An element cannot be made.",
            "a generator raises FileNotFoundError at element 3",
            "Mend what the message names, in the functions that the data set maps or generates by.",
        ),
        Rule(
            "dataset-image-empty", _E,
            "An image has no pixel.",
            "an image `[0, 480, 3]`",
            "Leave it out, or mend what cuts or scales it.",
        ),
        Rule(
            "dataset-image-not-finite", _E,
            "An image has pixels that are NaN or infinite.",
            "an image divided by its range, which is 0",
            "Mend what scales it: a division by a range of 0 does that.",
        ),
        Rule(
            "dataset-axes-exchanged", _E,
            "The masks fit the image if their axes are exchanged.",
            "an image `[640, 480, 3]`, masks `[2, 480, 640]`",
            "Transpose one of the two: the image is [W, H, C] and the masks are [N, W, H].",
        ),
        Rule(
            "dataset-sizes-differ", _E,
            "The masks are of another size than the image.",
            "an image `[512, 512, 3]`, masks `[2, 640, 480]`",
            "Cut and scale the masks with the image.",
        ),
        Rule(
            "dataset-objects-differ", _E,
            "There are more or fewer class ids than masks.",
            "3 masks and 2 class ids",
            "Filter both alike.",
        ),
        Rule(
            "dataset-mask-values", _E,
            "A mask has values other than 0 and 1.",
            "masks of 0 and 255",
            "Divide by 255, or compare with 0, whichever the values mean.",
        ),
        Rule(
            "dataset-mask-empty", _W,
            "A mask has no pixel.",
            "an object that was cropped away, and its mask kept",
            "Leave it out with its class id; it would train on nothing.",
        ),
        Rule(
            "dataset-class-suspect", _W,
            "A class id is below 1, and 0 is background.",
            "class ids counted from 0",
            "Number the classes from 1; leave padding to batching.",
        ),
    ),
}  # fmt: skip
"""The rules, by what they are about."""

CATALOGUE: Mapping[str, Rule] = {rule.code: rule for rules in SUBJECTS.values() for rule in rules}
"""The rules by code."""
