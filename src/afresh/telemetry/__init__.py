"""Who listens to what the flows report."""
