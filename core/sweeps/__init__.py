"""A search for good settings: many runs, each with other values, Optuna choosing which.

A guide for newcomers, in the order a search meets these modules.

**1. What is searched.** `space` says which settings may be searched and between which values; `spec` is the whole
question: space, sampler, pruner, metric and how much may be spent.

**2. Where it is kept.** `store` is a sweep's folder, read without optuna: its spec, what became of each trial
(`results` makes tables of it, `verdict` says whether it was worth it), the processes at work on it. `launch` starts
and stops those by command line.

**3. Who does it.** `work` is the program of one such process; several may share a study, on one machine or many.
`study` is all that is asked of Optuna, with the samplers and pruners of `draws`. `seat` follows one trial, which is an
ordinary run, from its start to what Optuna is told of it; `inherit` takes over the trials of processes that are gone.
"""
