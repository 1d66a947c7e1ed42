"""pass@1 on held-out suites: ledger, statistics, comparison, Claw-Eval."""
