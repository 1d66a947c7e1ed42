"""From a finished run to figures, tables and pages."""
