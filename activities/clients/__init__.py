"""The edge: forge, git, registry, SSH, engine, HTTP, ledger, notifications."""
