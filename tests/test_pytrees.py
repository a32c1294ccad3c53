"""Records are pytrees whose classes are never taken for one another, whatever the hashes of a process."""

from dataclasses import field
from itertools import combinations
from pathlib import Path

import jax
import jax.numpy as jnp
from chex import assert_trees_all_equal

import implicit_inference
from implicit_inference.pytrees import pytree


@pytree
class Times:
    factor: jax.Array
    names: tuple[str, ...] = field(default=("x",), metadata={"static": True})


@pytree
class Over:
    factor: jax.Array
    names: tuple[str, ...] = field(default=("x",), metadata={"static": True})


def test_structures_of_two_classes_differ_and_of_one_are_equal():
    times, over, again, renamed = map(jax.tree.structure, (Times(1.0), Over(1.0), Times(2.0), Times(1.0, ("y",))))
    assert times == again
    assert times != over  # JAX's caches ask this where two hashes share a bucket
    assert times != renamed


def test_records_are_trees_with_named_leaves():
    record = Times(jnp.arange(3.0), ("y", "z"))
    assert [path[0].name for path, _ in jax.tree.leaves_with_path(record)] == ["factor"]
    returned = jax.jit(lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree))(record)
    assert_trees_all_equal(returned.factor, 2 * record.factor)
    assert returned.names == record.names


def test_nobody_registers_records_otherwise():
    folder = Path(implicit_inference.__file__).parent
    users = [path.name for path in folder.rglob("*.py") if "register_dataclass" in path.read_text()]
    assert users == ["pytrees.py"], "jax.tree_util.register_dataclass takes classes for one another"


def test_no_two_conjugations_or_task_distributions_have_equal_structures():
    from implicit_inference.regression import conjugations, tasks

    known = [*vars(conjugations).values(), *vars(tasks).values()]
    records = [kind for kind in known if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")]

    def structure(kind):
        record = object.__new__(kind)
        for name in kind.__dataclass_fields__:
            object.__setattr__(record, name, 1.0)
        return jax.tree.structure(record)

    structures = {kind: structure(kind) for kind in dict.fromkeys(records)}
    assert len(structures) > 10
    assert [(a, b) for a, b in combinations(structures, 2) if structures[a] == structures[b]] == []
