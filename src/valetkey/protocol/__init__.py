"""Layer 2: pure request/parse pairs on frozen values, one module per RFC family."""
