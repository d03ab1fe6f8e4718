"""The colours of every figure and chart; colour-blind readers can tell them apart."""

# Okabe & Ito (2008), "Color Universal Design", without black, and yellow last: it is weak on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442")
UNCONVERGED = "#D55E00"


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue of `"#RRGGBB"`, from 0 to 1."""
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue
