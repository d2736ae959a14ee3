"""Packs: many small trainings run as one program.

The parameters of K members lie stacked on a leading axis; one traced program computes
all their gradients, one optimizer pass updates them, each with its own settings. What
a member learns equals what it learns alone, to rounding. See `docs/packing.md`.
"""

from workers.fusion.packable import OptimizerSettings, Packable, Stream

__all__ = ["OptimizerSettings", "Packable", "Stream"]
