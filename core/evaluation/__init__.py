"""From predictions to numbers and words one can trust.

A guide for newcomers, in the order an evaluation meets these modules.

**1. Answers.** `evaluate` has a run's model classify its held-out images; `predictions` is the table of its answers,
one row an image, from which everything else is worked out. `evaluated` reads it once for all parts.

**2. Numbers.** `metrics` are single figures, `intervals` how far they may be from the truth, `scores` all of them
beside what no skill would get, `roc` one class against the rest. `report` puts them together.

**3. Trust.** `calibration`: does a confidence mean what it says? `abstention`: when should the model rather not
answer? `unknown`: is an image like those it knows, tried on `strangers` of another dataset.

**4. Where it breaks.** `slices` are parts of the test images; `robustness` spoils them by `corruptions`. `saliency`
maps where the network looks (a transformer by `windows`), `saliency_checks` judges the maps, `saliency_job`
makes them and `explained` reads them back. What takes long is one of the `side_jobs`. `explainer` makes the map of one
image that somebody brings, by its `explainer_helper`.

**5. What is wrong.** `diagnosis` asks a dozen questions and says what the figures bear, each answer one of `remarks`:
`data_signs` of leaks, labels and classes; from a `training_course` `pace_signs` of learning rate and length, and
`fit_signs` of over- and under-fitting.

**6. Against another run.** `same_test` finds the test images two runs share, `pairing` brings them together or says
why not, `comparison` is the arithmetic and `verdict` the words. `again_on` tests a run on another's images,
`on_dataset` on those of any dataset, whose labels `label_mapping` translates into the model's classes.

**7. Mistakes.** `nearest` finds the training images most like each of them; `fixes` says what was corrected since the
run, and trains again with that on the same split.
"""
