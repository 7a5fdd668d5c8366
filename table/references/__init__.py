"""Reference losses, one file per method, written from the papers in NumPy float64.

These files are the witnesses of the table: they import nothing of ``icon``. Every value function is safe under the
complex step, so that its exact directional derivative is available without automatic differentiation.
"""
