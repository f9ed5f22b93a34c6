"""secmon: a monitor of network security and data compliance for education authorities."""
