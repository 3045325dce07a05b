"""Between Blender's scene and plain data: cameras, pictures, bounds, results."""
