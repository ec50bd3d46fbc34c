"""A cookbook of 300 recipes whose pages are cached."""
