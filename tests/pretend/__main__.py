"""`sandbox` on the pretended device: python -m tests.pretend measure --device cuda …; by torchrun, gloo is its NCCL."""

from sandbox.cli import main
from tests.pretend import pretend_cuda

with pretend_cuda():
    main()
