"""From a manifest and a TrainConfig to a run folder: models, loaders, engine, worker."""
