"""The pack that proves a run: what belongs to it, who signed it, and whether it may be believed."""
