"""What is in ``registered/`` is registered by the tests in a folder of its own, not by collecting tests."""

collect_ignore = ["registered"]
