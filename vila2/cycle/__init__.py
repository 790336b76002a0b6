"""The VILA² cycle: rounds of self-augmentation."""
