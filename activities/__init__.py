"""How each step is done: one class per set of collaborators; `clients` is the edge."""
