"""What the tests share: real servers, and the checks that a test leaves nothing behind."""
