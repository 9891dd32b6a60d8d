"""The benchmark: `python -m tests.bench`. docs/performance.md says what it measures."""
