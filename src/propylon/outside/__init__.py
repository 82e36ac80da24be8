"""Reaches out: the clock, files, threads and whatever else lies beyond the process."""
