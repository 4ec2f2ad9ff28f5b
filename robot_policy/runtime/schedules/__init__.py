"""Which action of which chunk is executed when: one file per strategy."""
