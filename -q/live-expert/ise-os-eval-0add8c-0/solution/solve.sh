#!/bin/bash
cd /workspace
( grep lawyer lease-review/notes.md
)
mkdir -p "$(dirname lease-review/answer.txt)" && printf %s '555-3762
' > lease-review/answer.txt
