"""The precisions that a trainable may be asked for; loads no torch, so descriptors may use it."""

from typing import Literal

Precision = Literal["float32", "float64", "tf32", "bf16"]
"""`float64` is for comparisons to rounding; `tf32` and `bf16` trade accuracy for speed on
devices that have them, with parameters and data in float32."""
