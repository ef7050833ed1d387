"""Writes images/ beside it: two small pictures, and what Pillow and transformers make of them.

Run once with pillow 13.0, torch 2.15 and transformers 5.23:

    python tests/peers/make_image_goldens.py

photo.png is colour, photo.jpg the same picture as JPEG, grey.png greyscale. golden.json holds the bytes that Pillow gives
for each filter when the pictures shrink and grow, the bytes that it decodes from the JPEG, and the numbers that
transformers' image processor of ViT gives for two checkpoints' settings.
"""

import json
import pathlib

import numpy as np
from PIL import Image
from transformers import ViTImageProcessor

HERE = pathlib.Path(__file__).resolve().parent / "images"
HERE.mkdir(exist_ok=True)
rng = np.random.default_rng(7)
height, width = 13, 17
y, x = np.mgrid[0:height, 0:width]
waves = np.stack([127 + 90 * np.sin(x / 2.1 + y / 3.3), 127 + 90 * np.cos(x / 4.2 - y / 1.7), 8 * x + 6 * y], axis=-1)
photo = Image.fromarray(np.clip(waves + rng.normal(0, 25, waves.shape), 0, 255).astype(np.uint8))
grey = photo.convert("L")
photo.save(HERE / "photo.png")
photo.save(HERE / "photo.jpg", quality=90, subsampling=0)
grey.save(HERE / "grey.png")


def numbers(image):
    return np.asarray(image).flatten().tolist()


resized = [
    dict(file=file, resample=resample, width=size[0], height=size[1], bytes=numbers(image.resize(size, resample)))
    for file, image in (("photo.png", photo), ("grey.png", grey))
    for resample in range(6)
    for size in ((6, 5), (8, 20), (17, 7))
]
processors = {
    "vit": dict(size=dict(height=8, width=8)),
    "imagenet": dict(
        size=dict(height=6, width=6), resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ),
}
processed = [
    dict(
        file=file,
        settings=settings,
        pixels=ViTImageProcessor(**settings)(Image.open(HERE / file).convert("RGB"), return_tensors="np")
        .pixel_values.flatten()
        .tolist(),
    )
    for file in ("photo.png", "grey.png")
    for settings in processors.values()
]
golden = dict(jpeg=numbers(Image.open(HERE / "photo.jpg")), resized=resized, processed=processed)
(HERE / "golden.json").write_text(json.dumps(golden) + "\n")
print(ViTImageProcessor.__mro__[:3])
