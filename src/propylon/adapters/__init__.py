"""One file for each framework, over the public API: three lines in an app of yours."""
