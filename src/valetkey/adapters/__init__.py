"""Layer 6: adapters for HTTP clients."""
