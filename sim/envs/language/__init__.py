"""The language suite: one table, many instructions, and nothing but the instruction tells which."""
