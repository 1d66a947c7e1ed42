#!/bin/bash
echo cedar $((97 * 3))
