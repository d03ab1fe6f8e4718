"""What stands at the top of the notebook and of an exported page: Markdown whose only tags are HTML's for a phrase."""

_EIGENVALUES = (
    "At every analysed training checkpoint stand the eigenvalues λ of the second derivative of the loss, the Hessian. "
    "At resolution ε, neighbours that are at most ε apart are one <em>cluster</em>; over all ε that is the "
    "<em>eigenvalue dendrogram</em>, whose merge heights are the spectral gaps."
)
_COUPLINGS = (
    "The magnitude |H<sub>ij</sub>| of a Hessian's entry couples parameters i and j. The graph of these couplings is "
    "cut in two along its <em>Fiedler vector</em>, and both parts again: a <em>parameter dendrogram</em>. Of groups of "
    "parameters, such as neurons, the norm ‖A<sub>AB</sub>‖ of the block between two is the coupling. A small "
    "algebraic connectivity λ₂ says that the graph nearly falls apart."
)
_UNKNOWN = (
    "Grey, hatched or hollow is what is not known: <em>unresolved</em>, not larger than its numerical error, or a "
    "<em>hole</em>, where eigenvalues were not computed; the legends say which. Crosses have not converged. An error "
    "bound says that <em>some</em> true eigenvalue is within it, and nothing about the sampling error of the data."
)
_MARKED = (
    "<em>Isolated</em> parameters, or groups, are coupled to none. Where the Fiedler vector is one of many (a "
    "degenerate λ₂), the cut is <em>arbitrary</em>, and marked hollow. The heights of a tree are levels: they say how "
    "often a part was cut, nothing else."
)
SPECTRUM = (f"{_EIGENVALUES} Move the sliders, hover to read values, and click a cluster in the dendrogram.", _UNKNOWN)
GROKKING = (
    "A small transformer learns addition modulo a prime. It first learns its training pairs by heart, and much later "
    "generalises: it represents numbers by sines and cosines of a few <em>key frequencies</em>. Above stand "
    "eigenvalues of the training loss's Hessian, below them, on the same steps, accuracy, loss, and how much of each "
    "frequency the embedding and the unembedding contain.",
    "The <em>loss with the key frequencies alone</em> keeps only those in the logits, the <em>loss without them</em> "
    "takes them out. Where the spectrum is partial, what lies between its two ends is a hole and not a gap.",
)
TREE = (_COUPLINGS, _MARKED)
DIRECTIONS = (
    "A leading eigenvector v of a curvature matrix changes the outputs by J v for a unit step. Projected on "
    "<em>groups</em> of outputs that mean something, that has shares, and the largest is its <em>purity</em>. Few "
    "groups, or one that rules everything, make all directions pure: so beside each purity stands what randomly "
    "rotated bases of the same effects give. Click a direction to see the samples that it changes most.",
)
DENSITY = (
    "Random vectors tell how all eigenvalues are spread without computing them one by one; every number has an "
    "interval that counts the spread over these vectors and all other errors. Triangles are eigenvalues known one by "
    "one.",
)
BLOCKS = (
    "Each diagonal block of the matrix, such as that of a layer, has a spectrum of its own: its curvature while all "
    "other parameters stay where they are. What is between the layers is in none of these.",
)
OF_KINDS = {"density": DENSITY, "blocks": BLOCKS, "directions": DIRECTIONS}
EXPORTED = (
    f"{_EIGENVALUES} Hover over anything to read its value and error; drag to zoom in, double-click to zoom out.",
    _COUPLINGS,
    _UNKNOWN,
)
