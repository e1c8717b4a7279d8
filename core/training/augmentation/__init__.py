"""Random changes to training images, a whole batch at a time.

`augment` is the door. It draws by `draws`, resamples by `geometry` (crops, flips, turns), shifts colours by `colour`,
follows one of the published `policies` (RandAugment, TrivialAugment) and mixes images with one another by `mixing`.
"""
