"""Where a camera sits on an arm, or beside it."""
