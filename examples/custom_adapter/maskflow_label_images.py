"""Images and their label images, in which each value but 0 is one object: what Cellpose, StarDist and ImageJ write."""

from pathlib import Path

import numpy as np
from pydantic import Field

from maskflow_convert import Adapter, AdapterOptions, Entry, Image, Index, InputPath, Instance, Region, Sample
from maskflow_convert.errors import RecordError, SourceError
from maskflow_convert.image import read_labels

MASKS = (".png", ".tif", ".tiff")
IMAGES = (*MASKS, ".jpg", ".jpeg")


class LabelImageOptions(AdapterOptions):
    """What a YAML says of a source, beside `adapter: label-images`."""

    images: InputPath = Field(description="the folder of the images")
    masks: InputPath = Field(description="the folder of the label images, PNG or TIFF; may be that of the images")
    suffix: str = Field("", description="how label images are named after their images: Cellpose's is _cp_masks")
    label: str = Field("cell", description="what the objects are")


class LabelImageAdapter(Adapter[LabelImageOptions, Path]):
    """Images with label images of up to 16 bits, in which each value but 0 is one object."""

    Options = LabelImageOptions

    def index(self) -> Index[Path]:
        """List the images, without label images that lie among them."""
        files = [file for file in sorted(self.options.images.glob("*")) if file.suffix.lower() in IMAGES]
        images = [file for file in files if not self._is_mask(file)]
        if not images:
            raise SourceError("there is no image in this folder that is no label image", self.options.images)
        return Index([Entry(key=image.name, record=image) for image in images], labels=[self.options.label])

    def read(self, record: Path) -> Sample:
        """Name each value of the label image an object; maskflow-convert turns them into masks."""
        mask = self._mask_of(record)
        values = [int(value) for value in np.unique(read_labels(mask)) if value]
        if min(values, default=0) < 0:
            raise RecordError(f"holds the negative value {min(values)}", mask)
        instances = [Instance(label=self.options.label, shape=Region(source=mask, value=v), id=str(v)) for v in values]
        return Sample(key=record.name, image=Image(path=record), instances=tuple(instances))

    def _is_mask(self, file: Path) -> bool:
        return self.options.masks == self.options.images and file.stem.endswith(self.options.suffix)

    def _mask_of(self, image: Path) -> Path:
        paths = [self.options.masks / f"{image.stem}{self.options.suffix}{extension}" for extension in MASKS]
        if found := [path for path in paths if path.is_file()]:
            return found[0]
        raise RecordError(f"{image.name} has no label image, as {', '.join(MASKS)}", paths[0].with_suffix(""))
