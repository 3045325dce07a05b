"""A shape of no class: a distance field on a grid, free to follow what the pictures say."""
