"""What the hardware is: processor, GPUs, memory, and the software that is installed for them."""
