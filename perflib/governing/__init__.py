"""From a finished run to what people decide with: costs, backlog, decisions, plans, and the pack that proves them."""
