"""Reconstruct 3D shapes from camera pictures (DIST: differentiable sphere tracing).

Nothing is imported here, so that ``dist_addon.jobs`` and the worker's protocol load without Blender.
"""


def register() -> None:
    """Make the add-on's panels, operators and properties known to Blender."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Cancel running jobs and take everything back out of Blender."""
    from . import registration

    registration.unregister()
