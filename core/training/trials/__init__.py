"""What can be tried before a run is started, on a few of its own images; programs, started by `core.runs.trials`.

`preflight` forecasts time, memory and disk: `trial_learning` tries the part up to trained weights and takes its `pace`,
`trial_finish` the rest. `lr_finder` looks for a learning rate, and `rate_test` reads what it found. `previews` draws
training images as the network would get them. `trial` is what the three have in common.
"""
