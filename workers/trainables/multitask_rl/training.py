"""Training one agent on several levels at once; see the package for what a spec may ask.

A step of the run is one update of the learner. What is saved is the agent, the optimizer,
the counters, the returns of the last episodes and the generator of actions; environments
are not: a trial that goes on begins new episodes, with layouts drawn by seed and step.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from sweep.run import Run
from workers.trainables.multitask_rl import MultitaskRLParameters
from workers.trainables.multitask_rl.acting import Actors, Returns
from workers.trainables.multitask_rl.agent import Agent, build_heads
from workers.trainables.multitask_rl.learning import Learner
from workers.trainables.multitask_rl.levels import encoder, environments
from workers.trainables.multitask_rl.observations import Environments
from workers.trainables.multitask_rl.projection import weights_map


def train(params: Mapping[str, Any], run: Run) -> None:
    """Train until the run is stopped, which its `report` does.

    Args:
        params: As `MultitaskRLParameters` says.
        run: The trial's link to its sweep.

    Raises:
        ValidationError: for parameters that the trainable does not accept.
    """
    read = MultitaskRLParameters.model_validate(params)
    saved = run.restore()
    places, numbers = environments(
        read.suite,
        read.chosen(),
        copies=read.copies,
        seed=run.seed + (saved["step"] if saved else 0),
    )
    try:
        _Training(read, run, places, numbers, saved).go()
    finally:
        places.close()


class _Training:
    def __init__(
        self,
        params: MultitaskRLParameters,
        run: Run,
        places: Environments,
        numbers: list[int],
        saved: Mapping[str, Any] | None,
    ) -> None:
        self._params, self._run, self._levels = params, run, params.chosen()
        self._learner = Learner(_agent(params, places, run), params)
        self._generator = torch.Generator().manual_seed(run.seed)
        self._returns = Returns(len(self._levels), window=params.window)
        self._step = self._frames = 0
        if saved:
            self._load(saved)
        self._actors = Actors(
            places,
            numbers,
            returns=self._returns,
            device=run.device,
            generator=self._generator,
        )
        self._frames_per_unroll = params.unroll * len(numbers) * places.frames_per_step
        self._began, self._frames_before = time.monotonic(), self._frames

    def go(self) -> None:
        """Collect and learn, in turns."""
        while True:
            unroll = self._actors.collect(self._learner.agent, self._params.unroll)
            self._frames += self._frames_per_unroll
            for _ in range(self._params.updates_per_unroll):
                found = self._learner.update(unroll)
                self._step += 1
                self._after(found)

    def _after(self, found: dict[str, float]) -> None:
        last = self._step == self._run.max_t
        diverged = not all(map(math.isfinite, found.values()))
        if last or diverged or self._step % self._params.report_every == 0:
            map_ = self._weights_map() if last and not diverged else {}
            self._run.report(self._step, **self._metrics(found), **map_)
        if self._step % self._params.save_every == 0:  # after the report: it is the state's
            self._run.save(self._state())

    def _metrics(self, found: dict[str, float]) -> dict[str, float]:
        return {**self._scores(), **found, **self._counts()}

    def _weights_map(self) -> dict[str, float]:
        params, seed = self._params, self._run.seed
        if not params.draws_map:
            return {}
        places, numbers = environments(params.suite, self._levels, copies=1, seed=seed)
        try:
            actors = Actors(
                places,
                numbers,
                returns=Returns(len(self._levels), window=1),
                device=self._run.device,
                generator=torch.Generator().manual_seed(seed),
            )
            return weights_map(
                self._learner.agent, actors, self._levels, points=params.tsne_points, seed=seed
            )
        finally:
            places.close()

    def _scores(self) -> dict[str, float]:
        """A level in which no episode has ended yet has no score, and counts as 0 in the mean."""
        means = [self._returns.mean(number) for number in range(len(self._levels))]
        scores = {
            f"score_{level.metric}": level.score(mean)
            for level, mean in zip(self._levels, means, strict=True)
            if mean is not None
        }
        count = len(self._levels)
        return {
            "score": sum(scores.values()) / count,
            "return": sum(mean or 0.0 for mean in means) / count,
            **scores,
        }

    def _counts(self) -> dict[str, float]:
        took = time.monotonic() - self._began
        return {
            "frames": self._frames,
            "frames_per_second": (self._frames - self._frames_before) / took,
            "parameters": sum(weights.numel() for weights in self._learner.agent.parameters()),
        }

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "frames": self._frames,
            "learner": self._learner.state(),
            "returns": self._returns.state(),
            "generator": self._generator.get_state(),
        }

    def _load(self, saved: Mapping[str, Any]) -> None:
        self._step, self._frames = saved["step"], saved["frames"]
        self._learner.load(saved["learner"])
        self._returns.load(saved["returns"])
        self._generator.set_state(saved["generator"])


def _agent(params: MultitaskRLParameters, places: Environments, run: Run) -> Agent:
    """The agent; its first weights are a function of the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        heads = build_heads(
            params.heads,
            hidden=params.hidden,
            out=places.actions + 1,
            levels=len(params.chosen()),
            context=params.context,
        )
        agent = Agent(
            encoder(params.suite, width=params.hidden),
            heads,
            features=params.hidden,
            words=places.words,
            actions=places.actions,
            hidden=params.hidden,
        )
    return agent.to(run.device)
