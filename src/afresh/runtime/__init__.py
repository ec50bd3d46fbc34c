"""What drives the flows: single-flight, clocks, the engine behind the facades."""
