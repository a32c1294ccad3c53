# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A tour in five pictures
#
# A prompt shows examples of a task and asks for one more answer. Which task is it? This tour answers exactly,
# watches the answer move, moves it on purpose, and then looks for the same in a trained network.
#
# `python examples/tour.py` prints the numbers and writes `tour_1.png` to `tour_5.png`, in half a minute.
# As a notebook: open this file with jupytext.

# %%
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import implicit_inference as ii
from implicit_inference.bayes.attribution import GATE_EDGES
from implicit_inference.show.drawing import Figure, legend_below, rendered, style
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY
from implicit_inference.worlds import world_of

COLOURS = (ORANGE, SKY, GREEN, PURPLE)


class Picture:
    """Draws a figure by one function, writes it as a file, and shows it in a notebook."""

    def __init__(self, name: str, draw: Callable[[Figure], None]) -> None:
        with style():
            figure = Figure(figsize=(8, 3.6))
            draw(figure)
            self.png = rendered(figure, "png")
        Path(f"{name}.png").write_bytes(self.png)
        print(f"{name}.png")

    def _repr_png_(self) -> bytes:
        return self.png


# %% [markdown]
# ## 1. Exact Bayes of a prompt
#
# A task is a slope w, and a label is y = w x + noise. With probability one half the slope is one of four
# known ones, the *discrete set*. Else it is any slope, from a Gaussian. The prompt below is of the steepest
# one.
#
# *Ridge* knows of Gaussian slopes alone. The *mixture* knows both families and weighs them by what it has
# seen. After two labels they differ: ridge plays safe, the mixture leans to a known slope. After ten both are
# near it.

# %%
NOISE = 0.5  # standard deviation of labels
discrete = ii.DiscreteTasks(jnp.array([[-1.5], [-0.5], [0.5], [1.5]]))
gaussian = ii.GaussianTasks(jnp.zeros(1), 1.0)
mixture = ii.Mixture((discrete, gaussian), jnp.log(jnp.array([0.5, 0.5])))

xs = jnp.array([-0.77, -0.70, -2.19, -2.67, -0.66, 0.79, 1.94, -1.26, 1.43, -1.11, -0.51, 1.22, 0.53])[:, None]
ys = jnp.array([-0.79, -1.43, -3.80, -4.50, -0.10, 1.21, 2.97, -1.55, 1.78, -1.77, 0.53, 2.03, -0.33])
prompt = ii.Prompts(xs, ys)


def line(prior: ii.TaskDistribution, seen: int) -> np.ndarray:
    """Predicts at x = -3 and x = 3 after the first pairs of the prompt."""
    ends = jnp.array([[[-3.0]], [[3.0]]])  # two queries of one input
    asked = ii.Prompts(
        jnp.concatenate([jnp.broadcast_to(xs[:seen], (2, seen, 1)), ends], 1),
        jnp.concatenate([jnp.broadcast_to(ys[:seen], (2, seen)), jnp.zeros((2, 1))], 1),  # the last label is not seen
    )
    return np.asarray(ii.bayes_predictor(prior, NOISE)(asked)[:, -1])


def draw_prompt(figure: Figure) -> None:
    for axes, seen in zip(figure.subplots(1, 2, sharey=True), (2, 10), strict=True):
        for (w,), label in zip(np.asarray(discrete.ws), ("the four known slopes", None, None, None), strict=True):
            axes.plot([-3, 3], [-3 * w, 3 * w], ":", color=GREY, label=label)
        axes.plot([-3, 3], line(gaussian, seen), color=GREEN, label="ridge")
        axes.plot([-3, 3], line(mixture, seen), color=BLACK, ls="--", label="exact Bayes of the mixture")
        axes.plot(xs[:seen, 0], ys[:seen], "o", color=BLUE, ms=6, label="pairs seen")
        axes.set(title=f"after {seen} labels", xlabel="x", ylabel="y", xlim=(-3, 3), ylim=(-5, 5))
    legend_below(figure)


Picture("tour_1", draw_prompt)

# %% [markdown]
# ## 2. The posterior, label by label
#
# Two questions are answered at once. Is the task from the set at all? If it is, which one is it? Both answers
# start at the prior and move with every label.

# %%
in_set = np.asarray(ii.component_posterior(mixture, prompt, NOISE)[:, 0])
which = np.asarray(ii.task_posterior(discrete, prompt, NOISE))
print(f"P(in the set) after 0, 3 and 12 labels: {in_set[0]:.2f}, {in_set[3]:.2f}, {in_set[12]:.2f}")


def draw_posterior(figure: Figure) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    left.plot(in_set, color=BLACK, marker="o")
    left.set(title="is it from the set?", xlabel="labels seen", ylabel="probability", ylim=(-0.03, 1.03))
    for (w,), values, colour in zip(np.asarray(discrete.ws), which.T, COLOURS, strict=True):
        right.plot(values, color=colour, marker="o", label=f"w = {w:g}")
    right.set(title="if so, which one is it?", xlabel="labels seen")
    right.legend()


Picture("tour_2", draw_posterior)

# %% [markdown]
# ## 3. A conjugation
#
# Multiply all labels by γ, predict, and divide the prediction by γ. For a Gaussian task the question is the
# same. But the prompt looks less like the discrete set, so the guess about the task moves. That guess is what
# a network that seems to have forgotten may have changed.
#
# The left panel is the mean over Gaussian prompts. In the right one, a learner believes in the set far too
# much, with prior log odds 5. It pays for that on Gaussian prompts, and doubled labels give most of it back.

# %%
many = ii.sample_batch(jax.random.key(5), gaussian, n=2000, length=12, noise_std=NOISE)
believer = ii.bayes_predictor(ii.shifted_prior(discrete, gaussian, 5.0), NOISE)  # prior log odds 5 for the set


def draw_conjugation(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    for strength, colour in zip((1.0, 1.5, 2.0, 3.0), (BLACK, SKY, BLUE, PURPLE), strict=True):
        shown = ii.ScaleLabels(strength).apply(many.prompts)
        left.plot(
            ii.component_posterior(mixture, shown, NOISE)[..., 0].mean(0), color=colour, label=f"labels × {strength:g}"
        )
    left.set(title="P(in the set), Gaussian prompts", xlabel="exemplars", ylim=(0, None))
    left.legend()
    for predictor, colour, label in (
        (believer, RED, "a believer in the set"),
        (ii.conjugated(believer, ii.ScaleLabels(2.0)), BLUE, "labels × 2"),
    ):
        right.plot(ii.excess(predictor(many.prompts), gaussian, many.prompts, NOISE), color=colour, label=label)
    right.set(title="loss above ridge's, Gaussian prompts", xlabel="exemplars", ylim=(0, None))
    right.legend()


Picture("tour_3", draw_conjugation)

# %% [markdown]
# ## 4. A trained network: forgetting and recovery
#
# Small transformers were pretrained on such a mixture, and then fine-tuned on the discrete set alone. Their
# loss on Gaussian prompts rises: that is *forgetting*. Under doubled labels a part of the rise is gone.
#
# Doubling does something to the pretrained network, too. *Net recovery* takes that off. What comes back, net,
# was not lost.


# %%
def opened() -> ii.Probe:
    """The networks to look at, which come with the package."""
    return ii.load("zoo/demo")


run = opened()
doubled = ii.ScaleLabels(2.0)


def loss(predictor: ii.Predictor, batch: ii.Batch) -> np.ndarray:
    """The mean squared distance from the truth, by the number of exemplars [K]."""
    return np.mean((np.asarray(predictor(batch.prompts)) - np.asarray(batch.clean_labels)) ** 2, axis=0)


def over_seeds(name: str, conjugation: ii.Conjugation) -> np.ndarray:
    """The loss of a predictor on Gaussian prompts under a conjugation, by seed and number of exemplars [S, K]."""
    return np.stack(
        [
            loss(ii.conjugated(run.predictor(name, seed), conjugation), run.held_out("gaussian", seed))
            for seed in run.config.seeds
        ]
    )


before, after = (over_seeds(name, ii.Identity()) for name in ("pretrained", "finetuned"))
before_doubled, after_doubled = (over_seeds(name, doubled) for name in ("pretrained", "finetuned"))
ridge = over_seeds("ridge", ii.Identity())
early = slice(1, run.config.tasks.dim + 1)
forgetting = (after - before)[:, early].mean()
net = 1 - (after_doubled - before_doubled)[:, early].mean() / forgetting
print(f"forgetting with few exemplars: {forgetting:.3f}; net recovery by doubled labels: {net:.2f}")


def draw_recovery(figure: Figure) -> None:
    axes = figure.subplots()
    for values, dash, colour, label in (
        (after, "-", RED, "fine-tuned"),
        (after_doubled, "--", RED, "fine-tuned, labels × 2"),
        (before, "-", BLUE, "pretrained"),
        (before_doubled, "--", BLUE, "pretrained, labels × 2"),
    ):
        axes.plot((values - ridge).mean(0), dash, color=colour, label=label)
    axes.set(title="loss above ridge's, Gaussian prompts", xlabel="exemplars", ylim=(0, None))
    axes.legend()


Picture("tour_4", draw_recovery)

# %% [markdown]
# ## 5. Its effective prior
#
# Which prior odds would make exact Bayes answer most as the network does? That is its *effective prior*. And
# does the network use the evidence? Its *gate* is how far its answers lie on the way from ridge to the
# discrete posterior. For exact Bayes the gate is the posterior: a sigmoid of the log evidence ratio, moved by
# the prior log odds (dashed). A network that only changed its prior would lie on its dashed line. A flatter
# gate weighs the evidence less.

# %%
noise = run.config.tasks.noise_std
centres = np.array([GATE_EDGES[0] - 4, *(np.array(GATE_EDGES[1:]) + GATE_EDGES[:-1]) / 2, GATE_EDGES[-1] + 4])
beliefs: dict[str, list[tuple[float, np.ndarray]]] = {}
for seed in run.config.seeds:
    tasks = world_of(run.config).families(seed)
    known, fresh = tasks["discrete"], tasks["gaussian"]
    halves = (run.held_out(name, seed).prompts for name in tasks)
    prompts = jax.tree.map(lambda *parts: jnp.concatenate(parts), *halves)
    first, second = (ii.bayes_predictor(prior, noise)(prompts) for prior in (known, fresh))
    ratio = ii.log_evidence_ratio(known, fresh, prompts, noise)
    for name in ("pretrained", "finetuned"):
        predictions = run.predictor(name, seed)(prompts)
        odds = float(ii.effective_prior(predictions, known, fresh, prompts, noise).logit)
        f, m1, m2, log_odds = (np.asarray(values)[:, 1:] for values in (predictions, first, second, ratio))
        beliefs.setdefault(name, []).append((odds, ii.effective_gate(f, m1, m2, log_odds).coefficient))
for name, found in beliefs.items():
    print(f"effective prior, log odds of the set, {name}: {', '.join(f'{odds:.2f}' for odds, _ in found)}")


def draw_gates(figure: Figure) -> None:
    axes = figure.subplots()
    grid = np.linspace(centres[0], centres[-1], 200)
    for found, colour, label in zip(beliefs.values(), (BLUE, RED), ("pretrained", "fine-tuned"), strict=True):
        odds, gates = np.mean([odds for odds, _ in found]), np.mean([gate for _, gate in found], axis=0)
        axes.plot(centres, gates, "o-", color=colour, label=label)
        bayes = 1 / (1 + np.exp(-odds - grid))
        axes.plot(grid, bayes, "--", color=colour, label=f"exact Bayes, prior log odds {odds:.1f}")
    axes.set(
        title="gate: 0 is ridge, 1 the discrete posterior", xlabel="log evidence ratio of the past", xlim=(-24, 12)
    )
    axes.legend()


Picture("tour_5", draw_gates)

# %% [markdown]
# Read on: the README says what was found with more seeds and beside controls; `docs/measures.md` defines
# every quantity; `python examples/sweep.py` varies a field.
