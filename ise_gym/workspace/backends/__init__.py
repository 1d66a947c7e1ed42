"""Where a box comes from: bubblewrap, docker, unsafe-local, a dummy, and the choice among them."""
