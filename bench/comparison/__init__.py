"""The comparison of WebSocket servers that bench/compare.py runs; docs/comparison.md tells how."""
