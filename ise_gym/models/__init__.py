"""Every talk with a language model: endpoints, metering, options, and the text formats of calls."""
