"""The interactive notebooks, for marimo: prose, widgets and calls into `charts`. `spectrum` opens any run."""
