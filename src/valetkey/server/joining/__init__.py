"""Connecting through the web: the way to the provider, the way back, and what an answer comes to."""
