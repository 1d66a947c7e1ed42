"""What pytest must not import: a benchmark's own files, and scripts."""

collect_ignore_glob = ["fixture_suite/*", "upstream_reference.py"]
