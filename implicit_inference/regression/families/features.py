"""Non-linear tasks that stay exact: the label is <w, phi(x)> for a fixed map phi, while a network sees only x."""

from __future__ import annotations

import abc
import itertools
from dataclasses import field, fields

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Shaped

from implicit_inference.bayes.mixtures import Predictive
from implicit_inference.bayes.precision import in_float64
from implicit_inference.bayes.shapes import floating, require, width
from implicit_inference.pytrees import pytree
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import Answers, TaskDistribution, WeightMap


class Features(abc.ABC):
    """A fixed map phi from inputs [..., d] to features [..., m]. Finals are frozen pytrees."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """d, the number of inputs."""

    @abc.abstractmethod
    def __call__(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch m"]:
        """The features of each input."""

    def check(self) -> None:  # noqa: B027
        """Raises ValueError if the arrays of the map do not fit together."""

    def inputs_of(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """Returns the inputs in floating point; raises ValueError for inputs of another dimension."""
        self.check()
        require("xs", xs, (*jnp.shape(xs)[:-1], self.dim), f"{type(self).__name__} has {self.dim} inputs")
        return floating(xs)

    @property
    def size(self) -> int:
        """m, the number of features: the prior over w lives in R^m."""
        dtype = jnp.result_type(*jax.tree.leaves(floating(self)), 1.0)
        return jax.eval_shape(self, jax.ShapeDtypeStruct((self.dim,), dtype)).shape[-1]


@pytree
class Polynomial(Features):
    """All monomials in x_1 ... x_d up to total `degree`, the constant among them: m = C(d + degree, degree)."""

    inputs: int = field(metadata={"static": True})
    degree: int = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        return self.inputs

    def __call__(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch m"]:
        xs = self.inputs_of(xs)
        columns = [jnp.ones_like(xs[..., 0])]
        for degree in range(1, self.degree + 1):
            for factors in itertools.combinations_with_replacement(range(self.inputs), degree):
                columns.append(jnp.prod(xs[..., jnp.array(factors)], axis=-1))
        return jnp.stack(columns, axis=-1)


@pytree
class Chebyshev(Features):
    """1, and T_1 ... T_degree of each coordinate: T_(p+1)(x) = 2 x T_p(x) - T_(p-1)(x); m = 1 + degree d."""

    inputs: int = field(metadata={"static": True})
    degree: int = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        return self.inputs

    def __call__(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch m"]:
        xs = self.inputs_of(xs)
        orders = [jnp.ones_like(xs), xs]
        while len(orders) <= self.degree:
            orders.append(2 * xs * orders[-1] - orders[-2])
        return jnp.concatenate([orders[0][..., :1], *orders[1 : self.degree + 1]], axis=-1)


@pytree
class Fourier(Features):
    """cos <f, x> and sin <f, x> for the rows f of `frequencies` [m/2, d].

    Rows drawn from N(0, I / length^2) approximate a Gaussian process (Rahimi and Recht 2007).
    """

    frequencies: Float[Array, "half d"]

    @property
    def dim(self) -> int:
        return width("the frequencies of Fourier", self.frequencies)

    def check(self) -> None:
        require(
            "the frequencies of Fourier", self.frequencies, (len(self.frequencies), self.dim), "one row a frequency"
        )

    def __call__(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch m"]:
        angles = jnp.einsum("...d,md->...m", self.inputs_of(xs), self.frequencies, precision="highest")
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


@pytree
class ReLU(Features):
    """max(0, <v, x> + b) for the rows v of `weights` [m, d] and the entries b of `biases` [m]: a random first layer."""

    weights: Float[Array, "m d"]
    biases: Float[Array, " m"]

    def check(self) -> None:
        m = len(self.weights)
        require("the weights of ReLU", self.weights, (m, self.dim), "one row a feature")
        require("the biases of ReLU", self.biases, (m,), f"there are {m} rows of weights")

    @property
    def dim(self) -> int:
        return width("the weights of ReLU", self.weights)

    def __call__(self, xs: Shaped[Array, "*batch d"]) -> Float[Array, "*batch m"]:
        products = jnp.einsum("...d,md->...m", self.inputs_of(xs), self.weights, precision="highest")
        return jax.nn.relu(products + jnp.expand_dims(self.biases, range(products.ndim - 1)))


@pytree
class FeatureTasks(TaskDistribution):
    """Tasks w ~ `tasks`, a distribution over R^m, that answer <w, phi(x)> with phi = `features`."""

    features: Features
    tasks: TaskDistribution

    @property
    def dim(self) -> int:
        return self.features.dim

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n m"], Int[Array, " n"]]:
        self.check()
        return self.tasks.draw(key, n)

    def check(self) -> None:
        self.features.check()
        self.tasks.check()
        if self.tasks.dim != self.features.size:
            name = type(self.features).__name__
            raise ValueError(f"{self.features.size} features of {name}, and a prior over {self.tasks.dim} weights")

    def push(self, weight_map: WeightMap) -> FeatureTasks:
        """Only label scales act on w; a map of the inputs, or a linear shift, would need another phi."""
        set_fields = {f.name for f in fields(weight_map) if getattr(weight_map, f.name) is not None}
        if lost := sorted(set_fields - {"label_scale"}):
            raise ValueError(
                f"a fixed {type(self.features).__name__} map is preserved by label scales only, not {lost}"
            )
        return FeatureTasks(self.features, self.tasks.push(weight_map))

    def answer(self, key: Array, xs: Shaped[Array, "n K d"], noise_std: Array | float) -> Answers:
        self.check()
        return self.tasks.answer(key, self.features(xs), noise_std)


@posterior_predictive.register
@in_float64
def _(tasks: FeatureTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The posterior of the tasks within, on the features of the inputs."""
    return posterior_predictive(tasks.tasks, Prompts(tasks.features(prompts.xs), prompts.ys), noise_std)
