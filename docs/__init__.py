"""What there is to read, and what makes the pages that are generated."""
