"""How fast: everything measured side by side in one run, each contestant in its turn."""
