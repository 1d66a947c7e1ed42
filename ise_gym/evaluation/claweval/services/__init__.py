"""The benchmark's mock services, in process or as subprocesses."""
