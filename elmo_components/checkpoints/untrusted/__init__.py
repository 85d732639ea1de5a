"""
Reads untrusted files: archives, zips, pickles, HDF5, JSON. A defect is an error. Nothing is
executed or written outside a temporary folder, and memory is bounded by the file's size.
"""
