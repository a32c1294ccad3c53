"""Parts that experiments share: question, variants, measurements, claims; their tables, judged and drawn."""
