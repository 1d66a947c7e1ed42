#!/bin/bash
cd /workspace
( chmod 755 rowing-crew/start.sh
)
( rowing-crew/start.sh > rowing-crew/result.txt
)
