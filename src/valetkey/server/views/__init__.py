"""What pages show, worked out from records and the clock: plain values, no HTML and no request."""
