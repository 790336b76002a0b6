"""What an English text claims, read by rule; whether that is true others decide: evaluation, verify and merge."""
