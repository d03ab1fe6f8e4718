"""`python -m hessian_dendrogram` is the `hessian-dendrogram` command."""

from .cli import main

main()
