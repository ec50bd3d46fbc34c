"""Stores: what runs the operations of flows. One module per kind; each library loads on first use."""
