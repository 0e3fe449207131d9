"""One file a framework: `prepare(case, data)` gives its calls for a workload, by name."""
