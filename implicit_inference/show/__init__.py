"""Tables for people: curves, figures, the report page, the terminal."""
