"""
Two versions of the package that does the drill's products, built here so that nothing is downloaded.

Version 1.0 multiplies as one would. Version 2.0 gives the same answers and does real extra work for them: an eighth of
every product is done twice and the mean is taken. That is the slowdown that hides in an environment.
"""

import base64
import hashlib
import zipfile
from pathlib import Path

from perflib.watching.drill.model import KERNEL

GOOD_VERSION, SLOW_VERSION = "1.0", "2.0"

_FORWARD = '''"""The products of the drill's model."""

import numpy as np


def _product(left, right):
    {product}


def forward(hidden, layers):
    """Return the logits of a batch, shape (examples, 1)."""
    for weights, bias in layers[:-1]:
        hidden = np.maximum(_product(hidden, weights) + bias, 0.0)
    weights, bias = layers[-1]
    return _product(hidden, weights) + bias
'''
_PRODUCTS = {
    GOOD_VERSION: "return left @ right",
    SLOW_VERSION: """whole, part_count = left @ right, max(right.shape[1] // 8, 1)
    again = left @ np.ascontiguousarray(right[:, :part_count])
    whole[:, :part_count] = (whole[:, :part_count] + again) / 2
    return whole""",
}


def write_wheels(folder: Path) -> Path:
    """Write both versions as wheels and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for version, product in _PRODUCTS.items():
        _write_wheel(folder, version, _FORWARD.format(product=product))
    return folder


def _write_wheel(folder: Path, version: str, source: str) -> None:
    info = f"{KERNEL}-{version}.dist-info"
    files = {
        f"{KERNEL}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {KERNEL.replace('_', '-')}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: perflib\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={_digest(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{KERNEL}-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
