"""From records to a tuned model: rows, data, template, SFT, GRPO, merge."""
