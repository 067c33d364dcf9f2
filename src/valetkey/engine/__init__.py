"""Layer 3: the engine, in plain blocking functions over a `World`."""
