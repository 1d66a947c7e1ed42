"""Pictures and pages made from what was recorded."""
