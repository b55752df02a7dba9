"""Scripts that print the tables of docs/design; nothing else of scidata imports them.

Speed and memory belong to `scidata.benchmarks.performance`, scores to ``scidata bench run``.
"""
