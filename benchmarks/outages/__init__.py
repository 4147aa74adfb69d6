"""Real servers, killed and started again while streamfx reads from them or writes to them."""
