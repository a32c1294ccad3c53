"""Records that JAX can take apart: frozen dataclasses as pytrees, whose classes are never taken for one another."""

from dataclasses import dataclass, fields
from typing import Any, TypeVar, dataclass_transform

from jax.tree_util import GetAttrKey, register_pytree_with_keys

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass of a class, and a pytree; fields with metadata {"static": True} are no leaves.

    `jax.tree_util.register_dataclass` would not do. In JAX 0.10 the structures of two classes that it registered are
    equal if their static fields are. Their hashes differ, so that a compiled function mistakes an argument of one class
    for one of the other in a few processes of a hundred, where the hashes happen to share a bucket.
    """
    cls = dataclass(frozen=True)(cls)
    leaves, static = (
        tuple(field.name for field in fields(cls) if field.metadata.get("static", False) is kind)  # type: ignore[arg-type]
        for kind in (False, True)
    )

    def values(record: T, names: tuple[str, ...]) -> tuple[Any, ...]:
        return tuple(getattr(record, name) for name in names)

    def flatten(record: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return values(record, leaves), values(record, static)

    def flatten_with_keys(record: T) -> tuple[tuple[tuple[GetAttrKey, Any], ...], tuple[Any, ...]]:
        return tuple((GetAttrKey(name), getattr(record, name)) for name in leaves), values(record, static)

    def unflatten(aux: tuple[Any, ...], children: Any) -> T:
        return cls(**dict(zip((*leaves, *static), (*children, *aux), strict=True)))

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
