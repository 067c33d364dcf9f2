"""Layer 1: what the engine works on (credentials, grants, connections) and the protocols that the outside fulfils."""
