"""Export COCO annotations to TFRecord with datumaro: images, and an instance mask of each object.

    python benchmarks/export_with_datumaro.py FOLDER OUTPUT

FOLDER holds `annotations/instances_NAME.json` and `images/`. datumaro exports no outline as a mask unless it was made
one before. It decodes each image and writes it as JPEG again. Its Python need not have the product.
"""

from __future__ import annotations

import sys

from datumaro.components.dataset import Dataset

source, output = sys.argv[1:3]
dataset = Dataset.import_from(source, "coco_instances")
dataset.transform("polygons_to_masks")
dataset.export(output, "tf_detection_api", save_media=True, save_masks=True)
