"""One file a framework: `prepare(case, data)` gives its contestants for a workload."""
