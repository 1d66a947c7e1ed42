"""A whole store, a part at a time: in processes, with the same result as in one."""
