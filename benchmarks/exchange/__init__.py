"""NIR files of other frameworks: one file a framework, for `nir_exchange.py`.

Each has `read(path, xs)`, the output for a file, and `WRITERS`, functions `(path, xs)` by node
that write a file of the framework's own network and return its output. `xs` is of shape
`(time, *shape)`, in steps of `DT`.
"""

DT = 1e-4  # the step that snnTorch reads every file with
SIZE = 40
