"""`make demo`: a real release, watched live, while its worker is killed; and `make sandbox`, the same house kept up."""
