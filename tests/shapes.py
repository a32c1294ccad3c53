"""The type checker of the tests: beartype on functions, not on dataclasses, which jax fills with placeholders."""

from beartype import BeartypeConf, beartype

WHOLE_NUMBERS_ARE_FLOATS = BeartypeConf(is_pep484_tower=True)


def check(function):
    return (
        function
        if function.__name__ in ("__init__", "check_single_arg")
        else beartype(function, conf=WHOLE_NUMBERS_ARE_FLOATS)
    )
