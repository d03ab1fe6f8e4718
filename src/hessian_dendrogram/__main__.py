"""`python -m hessian_dendrogram` is the `hessian-dendrogram` command."""

from .entry import main

main()
