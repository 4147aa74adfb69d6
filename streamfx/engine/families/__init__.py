"""The networks of the generator families, one file each."""
