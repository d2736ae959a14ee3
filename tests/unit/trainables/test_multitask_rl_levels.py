"""The levels: views against MiniGrid's own, episodes, reachable returns, and DMLab-30."""

import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from minigrid.minigrid_env import MiniGridEnv

from workers.trainables.multitask_rl import minigrid
from workers.trainables.multitask_rl.dmlab import ACTIONS, HEIGHT, REPEATS, WIDTH, words
from workers.trainables.multitask_rl.levels import environments
from workers.trainables.multitask_rl.minigrid import CODES, MiniGrid, decode, encode, make
from workers.trainables.multitask_rl.reachable import reachable_return
from workers.trainables.multitask_rl.suites import DMLAB30, MINIGRID, Level, choose

NAMES = [level.name for level in MINIGRID]


def test_there_are_thirty_different_levels_in_each_suite() -> None:
    for suite in (MINIGRID, DMLAB30):
        assert len({level.name for level in suite}) == 30
        assert len({level.metric for level in suite}) == 30
        assert all(level.metric.isidentifier() and level.ceiling > level.floor for level in suite)


def test_every_view_and_reward_is_minigrid_s_own() -> None:
    places, draw = MiniGrid(NAMES, seed=3), np.random.default_rng(0)
    own = [make(name) for name in NAMES]
    for env in own:
        del env.gen_obs
    seeds = np.random.SeedSequence(3).generate_state(len(NAMES))
    seen = [env.reset(seed=int(seed))[0] for env, seed in zip(own, seeds, strict=True)]
    for _ in range(300):
        views = decode(places.observe().view)
        for view, observed, bag in zip(views, seen, places.observe().words, strict=True):
            np.testing.assert_array_equal(view, observed["image"])
            np.testing.assert_array_equal(bag, minigrid.words(observed["mission"]))
        actions = draw.integers(0, minigrid.ACTIONS, len(NAMES))
        taken = places.step(actions)
        for index, env in enumerate(own):
            seen[index], reward, terminated, truncated, _ = env.step(actions[index])
            assert taken.rewards[index] == np.float32(reward)
            assert taken.ended[index] == (terminated or truncated)
            if taken.ended[index]:
                seen[index] = env.reset()[0]
    places.close()


def test_views_are_not_built_twice() -> None:
    env = make("Empty-5x5")
    assert env.reset(seed=0)[0] == {}
    assert MiniGridEnv.gen_obs(env)["image"].shape == (minigrid.VIEW, minigrid.VIEW, 3)


def test_cell_codes_are_one_to_one() -> None:
    codes = np.arange(CODES, dtype=np.uint8)
    assert [encode(*parts) for parts in decode(codes).tolist()] == codes.tolist()


def test_layouts_are_a_function_of_the_seed() -> None:
    def play(seed: int) -> list[bytes]:
        places, draw = MiniGrid(NAMES[:8], seed=seed), np.random.default_rng(0)
        seen = []
        for _ in range(60):
            transition = places.step(draw.integers(0, minigrid.ACTIONS, 8))
            seen.append(transition.observation.view.tobytes() + transition.rewards.tobytes())
        return seen

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_copies_of_a_level_are_laid_out_differently() -> None:
    places, numbers = environments("minigrid", MINIGRID[2:4], copies=8, seed=0)
    assert numbers == [0] * 8 + [1] * 8
    views = places.observe().view
    assert len({view.tobytes() for view in views[:8]}) > 4


@pytest.mark.parametrize("name", ["Empty-5x5", "GoToDoor-5x5", "DoorKey-5x5"])
def test_reachable_returns_are_what_the_search_finds(name: str) -> None:
    (level,) = choose("minigrid", [name])
    assert reachable_return(name) == pytest.approx(level.ceiling, abs=1e-4)


def test_the_shortest_way_through_the_empty_room_is_known() -> None:
    # from the corner (1, 1), facing right, to (3, 3): two forward, turn, two forward
    assert reachable_return("Empty-5x5", layouts=1) == pytest.approx(1 - 0.9 * 5 / 100)


def test_scores_are_shares_of_the_way_from_floor_to_ceiling() -> None:
    level = Level("some", ceiling=6.0, floor=2.0)
    assert [level.score(value) for value in (2.0, 3.0, 6.0, 7.0, 0.0)] == [0, 25, 100, 100, -50]


FAKE_DMLAB = dedent(
    """
    import gymnasium, numpy as np

    class Lab(gymnasium.Env):
        '''Five frames an episode; the reward counts frames, the picture shows the action.'''
        def __init__(self, observations, width, height):
            assert observations == ["RGB_INTERLEAVED", "INSTR"]
            self.shape = (height, width, 3)
        def seen(self, value):
            view = np.full(self.shape, value, dtype=np.uint8)
            return {"RGB_INTERLEAVED": view, "INSTR": "find the ball"}
        def reset(self, *, seed=None, options=None):
            self.frame = 0
            return self.seen(200), {}
        def step(self, action):
            assert action.shape == (7,) and action.dtype == np.intc
            self.frame += 1
            return self.seen(int(action[3]) + 1), float(self.frame), self.frame == 5, False, {}

    for level in ("rooms_watermaze", "psychlab_visual_search"):
        gymnasium.register(f"dmlab_gym/{level}-v0", entry_point=Lab)
    """
)


def test_dmlab_says_how_to_get_it() -> None:
    with pytest.raises(ModuleNotFoundError, match="pip install dmlab-gym"):
        environments("dmlab30", DMLAB30[:1], copies=1, seed=0)


def test_dmlab_repeats_actions_and_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dmlab_gym.py").write_text(FAKE_DMLAB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "dmlab_gym", raising=False)
    levels = choose("dmlab30", ["rooms_watermaze", "psychlab_visual_search"])
    places, numbers = environments("dmlab30", levels, copies=1, seed=0)
    try:
        assert numbers == [0, 1]
        assert places.frames_per_step == REPEATS == 4
        seen = places.observe()
        assert seen.view.shape == (2, HEIGHT, WIDTH, 3)
        np.testing.assert_array_equal(seen.words, np.stack([words("find the ball")] * 2))
        first = places.step(np.array([0, 2]))
        assert first.rewards.tolist() == [1 + 2 + 3 + 4] * 2
        assert first.ended.tolist() == [False, False]
        assert first.observation.view[:, 0, 0, 0].tolist() == [2, 1]
        second = places.step(np.array([0, 0]))
        assert second.rewards.tolist() == [5.0, 5.0]
        assert second.ended.tolist() == [True, True]
        assert (second.observation.view == 200).all()
        assert places.actions == len(ACTIONS) == 9
    finally:
        places.close()
