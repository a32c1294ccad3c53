"""Parameters to predictions: the decoder, what of it trains, controls. Flax stays in here."""
