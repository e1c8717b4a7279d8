"""The engine: given batches, a model and callbacks it fits the model. It knows neither files nor pages.

`engine` is the door, `recipe` what it is told, `progress` what it gives back. `fitting` goes through the phases of an
epoch, `stepping` makes one step of learning, `boundaries` keep what lets a step be taken back. A step uses `losses`,
`optimizers` (`muon` among them), `numerics` for precision and layout, `averaging` of weights. `totals` adds up what
the steps say, `validation` measures, `faults` names what the user can do something about. `threads`, `allocation`,
`chains` and `convolutions` with `winograd` are about the processor: as many threads as pay, memory kept for the next
step, images in oneDNN's order between layers, gradients by products of large matrices.
"""
