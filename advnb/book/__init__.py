"""What makes the book out of stored runs: ``claims`` with their verdicts, ``figures``, pictures to ``explore``."""
