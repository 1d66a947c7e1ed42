"""The viewer as a web application: Starlette, HTMX and Jinja over a library of runs."""
