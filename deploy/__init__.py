"""What runs the runbook: images, service files, project files, and the sandbox."""
