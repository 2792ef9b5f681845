"""A rollout tried on this machine: two real servers, live traffic between them, planted faults, and the way back."""

from perflib.rehearsing.rehearse import rehearse

__all__ = ["rehearse"]
