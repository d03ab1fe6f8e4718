"""The colours of every figure and chart; colour-blind readers can tell them apart."""

# Okabe & Ito (2008), "Color Universal Design", without black, and yellow last: it is weak on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442")
UNCONVERGED = "#D55E00"
