"""How a candidate goes to users in stages, what is watched on the way, and when it comes back."""
