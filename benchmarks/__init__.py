"""Benchmarks, run by `dmlink bench NAME`: each module here with `run(quick)` and `lines(result)` is one."""
