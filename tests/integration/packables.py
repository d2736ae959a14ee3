"""Trainings for packs in tests, found by drivers as `tests.integration.packables:…`."""

from torch import nn

from workers.fusion.packable import Params
from workers.trainables.arithmetic.training import ArithmeticTraining


class LoudTraining(ArithmeticTraining):
    """The arithmetic training, with a word about every network it makes."""

    def model(self, params: Params) -> nn.Module:
        print("a member was made", flush=True)
        return super().model(params)


LOUD = LoudTraining()
