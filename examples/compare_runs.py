"""Two agents on a frozen suite: pass@1 with intervals, paired difference, exact McNemar."""

from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.results.compare import compare

if __name__ == "__main__":  # worker processes import this file again
    for agent in ("expert:0.5", "expert"):
        run_suite("demo-easy", agent, f"runs/{agent.replace(':', '-')}", limit=8)
    comparison = compare("runs/expert-0.5", "runs/expert")
    for side in comparison.sides:
        print(f"{side.agent}: pass@1 {side.common}, first attempt {side.first}")
    (pair,) = comparison.pairs
    print(f"difference {pair.difference}, exact McNemar p = {pair.p:.3f}: {pair.verdict}")
