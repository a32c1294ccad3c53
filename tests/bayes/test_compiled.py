"""A function of each tree: the order of the trees, one trace for each kind."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference.bayes.compiled import mapped


def test_results_come_in_order_and_each_kind_is_traced_once():
    trees = [(1.0,), {"a": 2.0}, (jnp.array(3.0),), (jnp.array([4.0, 0.0]),), {"a": jnp.array(5.0)}, (6.0,)]

    def total(tree):
        return 10 * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tree))

    for run in (mapped, jax.jit(mapped, static_argnums=0)):
        chex.clear_trace_counter()
        counted = chex.assert_max_traces(total, n=3)
        np.testing.assert_allclose(run(counted, trees), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0])


def test_trees_without_leaves_and_functions_of_several_results():
    both = mapped(lambda tree: {"same": tree, "one": jnp.ones(2)}, [(), (), ()])
    assert both["same"] == ()
    np.testing.assert_array_equal(both["one"], np.ones((3, 2)))
