"""What a decision rests on, made from a run's records: costs, backlog, decisions, rollout and the evidence pack."""
