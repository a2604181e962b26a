"""The operator's side: what the commands of `starter.py` do, and how a release looks on a terminal."""
