"""Serves one SWE-ReX session to `benchmarks/workspace.py`: a command a line in, its output a line out.

A process of its own, because SWE-ReX may need another virtual environment than ise_gym. The line there and
back costs some hundredths of a millisecond.
"""

from __future__ import annotations

import asyncio
import sys

from swerex.deployment.local import LocalDeployment
from swerex.runtime.abstract import BashAction, CreateBashSessionRequest


async def serve() -> None:
    """Answer until standard input ends."""
    deployment = LocalDeployment()
    await deployment.start()
    await deployment.runtime.create_session(CreateBashSessionRequest(startup_timeout=60.0))
    for line in sys.stdin:
        answer = await deployment.runtime.run_in_session(BashAction(command=line.rstrip("\n")))
        print(answer.output.strip(), flush=True)
    await deployment.stop()


if __name__ == "__main__":
    asyncio.run(serve())
