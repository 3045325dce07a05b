"""Which point of the surface each ray sees.

Fits use `march`; Render Shape uses `guided`, with a `lattice` that `scan` looks through. `memory`, with `models` and
`samples`, is what `guided` can keep from frame to frame, as the benchmark does.
"""
