"""Text that others wrote: how much of it is read (`ise_gym.foreign.text`), and how it is shown (`.screen`)."""
