"""What keeps a box apart: namespaces, seccomp, cgroups, uids, mounts."""
