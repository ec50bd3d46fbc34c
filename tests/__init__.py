"""The tests of afresh; ``tests.support`` holds what they share."""
