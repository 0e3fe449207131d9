"""What the benchmarks share: the work, its check, how it is called and reported."""
