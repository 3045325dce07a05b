import torch

# CI has two cores and runs one test after another.
torch.set_num_threads(2)
torch.manual_seed(0)
