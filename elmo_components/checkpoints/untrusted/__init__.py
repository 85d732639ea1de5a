"""
Reads files from strangers: archives, zips, pickles, HDF5, JSON. A defect is an error; nothing is
executed, nothing is written outside a temporary folder, and memory is bounded by the file's size.
"""
