"""A model in this process: what is used of its tokenizer and weights, and answers for many conversations at once."""
