"""Ray, which knows of machines, as one more executor: how it is reached, what its nodes need, and the `map` over it."""
