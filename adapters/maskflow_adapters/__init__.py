"""The annotation formats that maskflow-convert reads out of the box, one module each.

They register through the entry-point group `maskflow_convert.adapters`, as anybody else's adapter does.
"""
