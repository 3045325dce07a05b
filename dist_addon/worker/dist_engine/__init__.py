"""The PyTorch side: everything that runs in the worker process. Imports no bpy."""
