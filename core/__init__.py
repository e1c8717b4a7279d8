"""Everything Darkroom does, without the browser: data -> training -> evaluation and inference."""
