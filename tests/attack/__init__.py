"""The attackers: forged and mutated messages against acceptance and faces, and shops with clients of long ago."""
