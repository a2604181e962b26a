"""Everything a release touches, on one machine, without root."""
