"""Finding the shape and the place that explain the observations."""
