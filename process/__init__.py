"""What both programs need around their work: settings, the connection, logs, signals and a clean end."""
