"""One workload, every framework: what is run, by whom, and how it is timed."""
