"""Which point of the surface each ray sees."""
