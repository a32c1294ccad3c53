"""The road to a result: its clock, its arithmetic, its ladder, and PyTorch, which draws by the same laws."""

import itertools
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_up import TINY
from scripts import FIGURES, load

from implicit_inference.bench.road import __main__ as road
from implicit_inference.bench.road import arms, compiled, curves, recipes, table
from implicit_inference.bench.road.curves import Lane
from implicit_inference.config.changes import PRESETS, override, plain
from implicit_inference.config.errors import UserError
from implicit_inference.regression.prompts import Prompts, to_tokens
from implicit_inference.study.results import Results, read_csv, write_csv
from implicit_inference.training.batches import log_weights, prior
from implicit_inference.worlds import world_of

STEEP = [(50, 1.0, 0.2), (100, 2.0, 0.09), (150, 3.0, 0.11), (200, 4.0, 0.02)]
SLOW = [(50, 1.0, 0.4), (100, 2.0, 0.3), (150, 3.0, 0.08)]
LANES = [Lane(0.5, [{1: STEEP}, {3: STEEP}]), Lane(1.0, [{2: SLOW}, {4: STEEP}])]


def test_a_clock_stands_still_while_it_is_held():
    times = iter([10.0, 11.0, 13.0, 18.0, 19.0])
    watch = curves.Watch(lambda: next(times))
    assert watch.seconds == 1.0
    with watch.held():
        pass
    assert watch.seconds == 4.0


def test_a_crossing_is_the_first_evaluation_within():
    assert curves.crossing(STEEP, 0.1) == (100, 2.0)
    assert curves.crossing(STEEP, 0.02) == (200, 4.0)
    assert curves.crossing(STEEP, 0.01) is None
    assert curves.crossing([(50, 1.0, float("nan"))], 0.1) is None


def test_a_seed_waits_for_those_before_it_in_its_process():
    found = curves.arrivals(LANES, 0.1)
    assert {seed: (at.steps, at.seconds, at.reached) for seed, at in found.items()} == {
        1: (100, 2.5, True),
        3: (100, 4.5, True),
        2: (150, 4.0, True),
        4: (100, 6.0, True),
    }


def test_a_group_ends_with_its_last_seed_and_one_that_never_arrives_counts_as_long_as_it_was_trained():
    found = curves.arrivals([Lane(1.0, [{1: STEEP, 2: SLOW}, {3: STEEP}])], 0.05)
    assert (found[1].seconds, found[1].reached) == (5.0, True)
    assert (found[2].steps, found[2].seconds, found[2].reached) == (150, 4.0, False)
    assert found[3].seconds == 9.0


@pytest.mark.parametrize(
    ("limits", "steps"), [((0.3, 1e9, 10**9), 350), ((0.0, 1e9, 120), 150), ((0.0, 3.0, 10**9), 150)]
)
def test_training_ends_when_all_are_within_or_steps_or_seconds_are_over_and_evaluation_is_free(limits, steps):
    now, done = [0.0], []

    def advance():
        now[0] += 1.0
        done.append(now[0])

    def excess():
        now[0] += 100.0
        return [1.0 / len(done), 2.0 / len(done)]

    found = curves.followed(lambda seeds: (advance, excess), [7, 8], *limits, curves.Watch(lambda: now[0]))
    assert [points[-1] for points in found.values()] == [
        (steps, steps / 50, part / (steps / 50)) for part in (1.0, 2.0)
    ]


def test_a_lane_survives_being_printed(monkeypatch, capsys):
    job = {"groups": [[1, 2]], "goal": 1.0, "seconds": 9.0, "steps": 50, "launched": 0.0}
    monkeypatch.setattr(sys, "argv", ["worker", json.dumps(job)])
    curves.work(lambda seeds: (lambda: None, lambda: [0.5, 0.25]))
    lane = curves.read_lane(capsys.readouterr().out)
    assert {seed: points[0][::2] for seed, points in lane.groups[0].items()} == {1: (50, 0.5), 2: (50, 0.25)}


def test_rows_tell_the_pace_of_all_seeds_and_thinned_curves():
    rows = table.arrival_rows(LANES, 0.1)
    assert [(row["seed"], row["seconds"]) for row in rows] == [(1, 2.5), (2, 4.0), (3, 4.5), (4, 6.0)]
    assert {row["step_ms"] for row in rows} == {40.0}
    assert [row["seconds"] for row in table.curve_rows(LANES) if row["seed"] == 2] == [3.0, 5.0, 7.0]
    evaluations = [(steps, 0.0, 0.0) for steps in range(50, 1050, 50)]
    assert [steps for steps, *_ in table.thinned(evaluations, 2)] == [50, 100, 200, 400, 800, 1000]


def rows_of(arm, seconds, reached, steps=(50, 150)):
    return [
        {"arm": arm, "excess": goal, "steps": n, "seconds": seconds - n / 1000, "reached": reached, "step_ms": 2.5}
        for goal in recipes.STEPS["S"]
        for n in steps
    ]


def test_a_ratio_is_a_lower_bound_or_nothing_where_an_arm_never_arrives():
    slow, fast = rows_of("slow", 100.05, False), rows_of("fast", 10.05, True)
    assert (table.ratio(slow, fast), table.ratio(fast, fast), table.ratio(fast, slow)) == ("> 10.0", "1.0", "-")
    almost = [row | {"seconds": 0.9998 * row["seconds"]} for row in slow]
    assert table.ratio(almost, fast) == "> 9.9", "a bound is not rounded up"
    lines = table.side_by_side(slow + fast)
    assert lines[2:4] == [
        "| 0.10 | slow | 2.5 | 50 to 150 | > 100 | - |",
        "| 0.10 | fast | 2.5 | 50 to 150 | 10 | > 10.0 |",
    ]
    assert len(lines) == 2 + 2 * len(recipes.STEPS["S"])


def test_an_excess_that_the_first_arm_was_not_asked_has_no_ratio():
    fast = [row | {"excess": 9.0} for row in rows_of("fast", 10.05, True)]
    assert table.side_by_side(rows_of("slow", 100.05, False) + fast)[-1] == "| 9.00 | fast | 2.5 | 50 to 150 | 10 | - |"


def test_rows_of_excesses_that_are_timed_no_more_are_dropped(tmp_path):
    path = tmp_path / "road_S.csv"
    write_csv(Results([{"arm": "published", "excess": goal} for goal in (0.1, 0.2)]), path)
    rows = road.with_others([{"arm": "muon", "excess": 0.1}], path, (0.1,))
    assert [(row["arm"], row["excess"]) for row in rows] == [("published", 0.1), ("muon", 0.1)]


@pytest.mark.parametrize("world", recipes.WORLDS)
def test_the_stored_table_has_the_excesses_that_are_timed(world):
    stored = read_csv(FIGURES / "data" / f"road_{world}.csv")
    assert stored.levels("excess") == [*recipes.STEPS[world]]


CHANGED = {
    "compiled-loop": set(),
    "packed-seeds": set(),
    "compact-tokens": {"prompts.tokens"},
    "exact-targets": {"pretrain.target"},
    "muon": {f"pretrain.{name}" for name in ("optimizer", "learning_rate", "warmup", "final_fraction", "steps")},
}


def flat(config):
    return {
        f"{part}.{name}": x
        for part in ("tasks", "prompts", "model", "pretrain")
        for name, x in plain(config)[part].items()
    }


def test_each_arm_changes_one_thing_and_the_last_is_the_preset():
    ladder = {name: flat(arm.config("S", 0.1)) for name, arm in recipes.ARMS.items()}
    names = [*ladder]
    assert names[0] == "published"
    for before, after in itertools.pairwise(names):
        assert {path for path, x in ladder[after].items() if x != ladder[before][path]} == CHANGED[after]
    demo = flat(PRESETS["demo"])
    assert {path for path, x in ladder["muon"].items() if x != demo[path]} <= {"pretrain.steps"}


def test_seeds_are_trained_once_and_are_those_of_no_preset():
    taken = {seed for preset in PRESETS.values() for seed in preset.seeds}
    assert not taken & {*recipes.CHOOSING, *recipes.SEEDS}
    assert not {*recipes.CHOOSING} & {*recipes.SEEDS}
    lanes = {name: arm.lanes(recipes.SEEDS) for name, arm in recipes.ARMS.items()}
    assert lanes["published"] == [[[200], [202]], [[201], [203]]]
    assert lanes["compiled-loop"] == [[[200], [201], [202], [203]]]
    assert lanes["muon"] == [[[200, 201, 202, 203]]]


@pytest.mark.parametrize("world", recipes.WORLDS)
def test_one_run_tells_the_time_to_every_excess_unless_its_rate_decays(world):
    goals = tuple(recipes.STEPS[world])
    assert recipes.ARMS["published"].runs(world) == [goals]
    assert recipes.ARMS["muon"].runs(world) == [(goal,) for goal in goals]
    assert sorted(goals, reverse=True) == [*goals]


def test_without_pytorch_one_line_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(arms, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install -e "\.\[bench\]"'):
        arms.hand_over(TINY, [1], tmp_path)


def test_the_command_writes_tables_that_the_figure_draws(monkeypatch, tmp_path, capsys):
    def train(arm, config, seeds, goal, minutes):
        return [Lane(1.0, [{seed: STEEP for seed in group} for group in lane]) for lane in arm.lanes(seeds)]

    monkeypatch.setattr(road, "train", train)
    assert road.main(["--into", str(tmp_path)]) == 0
    assert "| 0.10 | muon | 20 | 100 | 3 | 1.7 |" in capsys.readouterr().out
    assert road.main(["--into", str(tmp_path), "--arms", "published"]) == 0
    assert "| 0.10 | muon | 20 | 100 | 3 | 1.7 |" in capsys.readouterr().out, "other arms keep their rows"
    figure = load(FIGURES, "road")
    with figure.style():
        drawn = figure.draw({"S": figure.read_csv(tmp_path / "road_S_curves.csv")})
    (axes,) = drawn.axes
    assert axes.get_legend_handles_labels()[1] == ["published", *(f"+ {name.replace('-', ' ')}" for name in CHANGED)]
    rows = figure.read_csv(tmp_path / "road_S.csv").where(arm="published", excess=0.1)
    assert rows.column("seconds").tolist() == [3.0, 3.0, 5.0, 5.0]


def test_a_figure_without_tables_names_the_command_that_writes_them(monkeypatch, tmp_path):
    figure = load(FIGURES, "road")
    monkeypatch.setattr(figure, "TABLES", {"S": tmp_path / "road_S_curves.csv"})
    with pytest.raises(
        UserError, match=r"road_S_curves.csv: there is no such table; python -m implicit_inference\.bench"
    ):
        figure.main()


def test_a_choice_is_made_on_other_seeds_by_the_last_to_arrive(monkeypatch, capsys):
    def train(arm, config, seeds, goal, minutes):
        assert tuple(seeds) == recipes.CHOOSING
        return [Lane(1.0, [dict(zip(seeds, (STEEP, STEEP, SLOW, STEEP), strict=True))])]

    monkeypatch.setattr(road, "train", train)
    assert road.main(["--choose", "--arms", "packed-seeds", "published"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"| packed-seeds, rate {recipes.RATES[0]:g} | 200 | 0.020, 0.020, 0.080, 0.020 | 150 | - | - |"
    assert len(lines) == 2 + len(recipes.RATES)


def interleaved():
    return override(TINY, recipes.PUBLISHED | {"seeds": [3], "pretrain.learning_rate": 1e-3})


def test_pytorch_begins_where_the_compiled_loop_begins():
    pytest.importorskip("torch")
    from implicit_inference.bench.road import plain as in_pytorch

    config = interleaved()
    handed = compiled.handed_over(config, [4, 3])[3]
    assert len(handed["tokens"]) == 1024
    _, theirs = in_pytorch.prepare(plain(config), 3, handed)
    _, ours = compiled.prepare(config, [3])
    np.testing.assert_allclose(theirs(), ours(), rtol=1e-4)


def test_pytorch_draws_by_the_same_laws():
    torch = pytest.importorskip("torch")
    from implicit_inference.bench.road import plain as in_pytorch

    n, length, config = 4000, TINY.prompts.length, TINY
    tasks = prior(config, 3, log_weights(0.3))
    ws = tasks.components[0].ws
    generator = torch.Generator().manual_seed(0)
    tokens, labels = in_pytorch.draw(generator, torch.tensor(np.array(ws)), n, length, 0.3, 1.0, 1.0)
    prompts = Prompts(jnp.asarray(tokens[:, ::2]), jnp.asarray(labels))
    np.testing.assert_array_equal(to_tokens("interleaved", prompts), tokens)
    world = world_of(config)
    ours = world.sample(jax.random.key(0), tasks, n)
    for statistic in (
        lambda p: p.ys,
        lambda p: jnp.square(p.ys),
        lambda p: jnp.square(world.exact(tasks)(p) - p.ys),
        lambda p: world.evidence(tasks.components[0], p) - world.evidence(tasks.components[1], p),
    ):
        theirs, expected = (np.asarray(statistic(p), np.float64) for p in (prompts, ours.prompts))
        error = np.sqrt((theirs.var(0) + expected.var(0)) / n)
        assert np.all(np.abs(theirs.mean(0) - expected.mean(0)) <= 4.5 * error)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["published", "compiled-loop", "muon"])
def test_an_arm_runs_in_processes_of_its_own(monkeypatch, arm):
    if arm == "published":
        pytest.importorskip("torch")
    found = arms.train(recipes.ARMS[arm], interleaved(), [3, 4], 1e3, 0.1)
    assert {seed: at.steps for seed, at in curves.arrivals(found, 1e3).items()} == dict.fromkeys([3, 4], 50)
    assert all(lane.start > 0.1 for lane in found)
