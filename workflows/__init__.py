"""In which order: the release and the rollback, written to be read like the runbook."""
