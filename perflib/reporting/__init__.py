"""What the report says, part by part: first the decision in plain words, then what it rests on."""
