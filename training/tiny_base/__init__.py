"""The tiny Qwen3-architecture base model: its tokenizer, its synthetic corpus and how it is built.

It exists so that the whole way (record → fine-tune → evaluate) can be run for real on two CPU cores. It knows
how to call tools and how to copy names, but none of the catalog's task kinds; see ``README.md`` beside the weights.
"""
