"""Finding the code and the place that explain the pictures."""
