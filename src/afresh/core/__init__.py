"""The pure part: keys, envelopes, decisions and flows. No I/O, clock, randomness, thread or event loop."""
