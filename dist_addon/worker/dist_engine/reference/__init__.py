"""What only comparisons use: the poster's marches and gradients, and measures against a known truth.

No reconstruction runs any of it: fits trace by `tracing.march` and differentiate by `observations.surface`.
"""
