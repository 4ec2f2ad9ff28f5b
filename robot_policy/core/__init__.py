"""Types that everything passes through; numpy only."""
