"""A simulator of implicit task inference: exact Bayes, conjugate prompting, forgetting, in closed form.

The public names stand in `__init__.pyi`, for type checkers too. They load on first use: the import takes no jax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
