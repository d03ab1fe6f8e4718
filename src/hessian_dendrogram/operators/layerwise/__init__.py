"""Layerwise propagation: the exact Hessian of a chain of layers in one pass over the samples.

For a chain z_l = φ_l(z_{l-1}; θ_l) and L = mean ℓ(z_out, y), the Hessian is a sum of three kinds of terms, with
D_l = ∂z_l/∂(θ_1..θ_l) and λ_l = ∂L/∂z_l:

- at the output Dᵀ A D with A = ∂²ℓ/∂z_out², the Gauss-Newton part;
- at a layer that is bilinear in (θ_l, z_{l-1}), a block between θ_l and all earlier parameters: the layer's own
  weight-gradient map, fed with D_{l-1} as its input and λ_l as its cotangent (within θ_l that term is zero);
- at a pointwise activation z = σ(u) the term D_uᵀ diag(λ_z σ''(u)) D_u, zero for piecewise linear ones.

So one forward pass that carries D, after an ordinary backward pass that gives every λ, is enough. The formulas are
the second derivative of a composition, written out; compare Dangel, Harmeling & Hennig (2020), "Modular
block-diagonal curvature approximations for feedforward architectures", for the diagonal blocks.

`columns.py` says how D is kept, `chain.py` finds the chain in a module, `accumulator.py` adds up the matrix, and
every other module has the rules of one family of layers. A rule is an object with

    step(site, columns, accumulator) -> columns

and, where it has parameters, `count` columns of its own and `indices`, their places in the layout.
"""
