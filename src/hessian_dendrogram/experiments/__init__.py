"""The experiments that come with the package, each one file that ends in `experiment = Experiment(...)`."""
