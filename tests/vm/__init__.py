"""Real kernels with loadable modules, in a virtual machine: `python -m tests.vm --help`."""
