"""Settings: where they come from, what they mean, and where a wrong one stands."""
