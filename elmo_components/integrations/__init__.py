"""
ELMo in other libraries: one folder or module for each.

None is imported before it is used, since none of these libraries is required.
"""
