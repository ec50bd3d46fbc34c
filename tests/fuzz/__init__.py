"""Properties that hold for whatever hypothesis thinks of: in the tests some hundred examples of each, in `make fuzz` an hour of them."""
