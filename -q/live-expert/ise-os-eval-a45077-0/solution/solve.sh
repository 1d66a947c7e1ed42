#!/bin/bash
cd /workspace
( rm lease-review/gamma.bak
)
