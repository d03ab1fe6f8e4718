"""Statistics: numbers that are made from results."""
