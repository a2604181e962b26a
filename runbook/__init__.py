"""What a release is: its steps, their messages, the plan and the status. Pure: no I/O, no clock, nothing of ours imported."""
