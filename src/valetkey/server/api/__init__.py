"""The REST API under ``/v1``: a FastAPI application of its own, mounted beside the pages."""
