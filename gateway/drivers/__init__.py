"""Hardware: lines, radio, indicator, and one file per sensor kind."""
